"""`export`: a dataset in the shape that training code loads, and what a person sees of it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from prefect_trinetra.cli.exits import Exit
from prefect_trinetra.cli.figures import counted
from prefect_trinetra.cli.outcome_table import bullets, word_table
from prefect_trinetra.cli.terminal import Terminal
from prefect_trinetra.export.exporting import export_dataset
from prefect_trinetra.export.report import ExportReport
from prefect_trinetra.export.spec import ExportSpec

__all__ = ["run_export"]

UNREADABLE_SHOWN = 5
MEGABYTE = 1_000_000


def run_export(spec: ExportSpec, terminal: Terminal) -> Exit:
    """Exports and says what came of it; 1 where images are missing or damaged in the dataset."""
    columns = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal.asides, transient=True, disable=not terminal.is_watched) as bar:
        task = bar.add_task("images", total=None)
        report = export_dataset(spec, lambda done, of: bar.update(task, completed=done, total=of))
    terminal.show(*_shown(report))
    terminal.tell_machine(report.model_dump(mode="json"))
    return Exit.FAILED if report.unreadable else Exit.OK


def _shown(report: ExportReport) -> Iterator[Text | Table | str]:
    table = word_table()
    for name, split in report.splits.items():
        word = f"{counted(split.files, 'file')}, {split.bytes / MEGABYTE:,.1f} MB"
        table.add_row(name, Text(f"{split.images:,}", "bold"), Text(word, "dim"))
    for why, count in report.left_out.items():
        table.add_row("left out", Text(f"{count:,}", "bold"), Text(_why(why), "dim"))
    if report.unreadable:
        table.add_row(Text("unreadable", "red"), Text(f"{len(report.unreadable):,}", "bold"), _DAMAGED)
    yield table
    yield ""
    yield from bullets(f"{name}: {reason}" for name, reason in list(report.unreadable.items())[:UNREADABLE_SHOWN])
    kept = f", {counted(report.kept, 'file')} of an export that broke off kept" if report.kept else ""
    yield Text.assemble((report.export_url, "bold"), f"  {report.format}, with {' and '.join(report.papers)}{kept}")
    if report.hub_url:
        yield Text.assemble((report.hub_url, "bold"), "  uploaded")


_DAMAGED = Text("missing or damaged in the dataset; they are not in the export", "dim")


def _why(why: str) -> str:
    return "their rows do not fit --where" if why == "where" else f"as --without {why} asks"
