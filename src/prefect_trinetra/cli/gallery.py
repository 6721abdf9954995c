"""`gallery`: writes the page that shows a dataset, once or as long as a run goes on."""

from __future__ import annotations

from dataclasses import asdict

from rich.text import Text

from prefect_trinetra.cli.exits import Exit
from prefect_trinetra.cli.figures import counted
from prefect_trinetra.cli.places import Place
from prefect_trinetra.cli.terminal import Terminal
from prefect_trinetra.gallery.watching import watch_gallery
from prefect_trinetra.gallery.writing import GalleryReport, write_gallery
from prefect_trinetra.loop import io_loop
from prefect_trinetra.storage import Storage

__all__ = ["show_gallery"]


def show_gallery(place: Place, terminal: Terminal, *, watch: bool) -> Exit:
    """Writes the page and says where it is."""
    storage = Storage.open(place.url, place.options)

    def note(report: GalleryReport) -> None:
        if watch or report.thumbnails_waiting:
            terminal.note(_words(report))

    with terminal.waiting("looking at the dataset"):
        write = watch_gallery(storage, note) if watch else write_gallery(storage, note)
        report = io_loop().run(write)
    terminal.show(Text.assemble((report.page_url, "bold")), _words(report))
    if report.unshown:
        terminal.show(
            f"{counted(report.unshown, 'image')} can't be shown: the file is missing or damaged, see the tiles"
        )
    if not report.is_final:
        terminal.show(_unfinished(watched=watch))
    terminal.tell_machine(asdict(report))
    return Exit.OK


def _words(report: GalleryReport) -> str:
    waiting = f", {report.thumbnails_waiting:,} thumbnails to come" if report.thumbnails_waiting else ""
    return (
        f"{counted(report.images, 'image')}, {counted(report.items - report.images, 'row')} without; "
        f"{counted(report.thumbnails_made, 'new thumbnail')}{waiting}"
    )


def _unfinished(*, watched: bool) -> str:
    if watched:
        return "no run is at work in the dataset any more, and the last one broke off: run generate again to go on"
    return "a run is under way, or broke off: this is how far it is. With --watch the page follows it"
