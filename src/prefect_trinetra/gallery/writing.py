"""Writing a gallery: once, or again and again while a run goes on."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from prefect_trinetra.costs import Costs
from prefect_trinetra.gallery.cells import table_rows
from prefect_trinetra.gallery.choices import Choices, find_choices
from prefect_trinetra.gallery.files import GALLERY_FOLDER, PAGE, GalleryFiles, GalleryState
from prefect_trinetra.gallery.items import PARAMETERS, ROW_COLUMNS, items, own_columns
from prefect_trinetra.gallery.packs import Picture, ThumbnailPacks
from prefect_trinetra.gallery.page import page
from prefect_trinetra.gallery.parts import script_json
from prefect_trinetra.gallery.rows import OUTCOMES, RECORDS_PER_PART, ROWS_PER_PART, RowParts
from prefect_trinetra.known import KnownState
from prefect_trinetra.snapshot import Snapshot, take_snapshot
from prefect_trinetra.storage import Storage

__all__ = ["GalleryReport", "gallery_page", "has_gallery", "write_gallery", "write_round"]

# So that a page is never older than half a minute, however many images came at once.
ROUND_SECONDS: Final = 15.0
NEWS: Final = "now.js"


@dataclass(frozen=True, slots=True)
class GalleryReport:
    """What was written: where the page is, what it shows, what was made for it. Times are in seconds.

    `unshown` are images of which the file is missing or damaged; `thumbnails_waiting` are left to the next writing.
    `is_final`: the tables are those of a run that ended.
    """

    page_url: str
    items: int
    images: int
    unshown: int
    thumbnails_made: int
    thumbnails_waiting: int
    is_final: bool
    seconds: float


def gallery_page(storage: Storage) -> str:
    """The address of a dataset's gallery, whether or not there is one."""
    return f"{storage.url.rstrip('/')}/{GALLERY_FOLDER}/{PAGE}"


async def has_gallery(storage: Storage) -> bool:
    """Whether a dataset has a gallery, of whatever age."""
    return await storage.exists(f"{GALLERY_FOLDER}/{PAGE}")


async def write_gallery(storage: Storage, on_round: Callable[[GalleryReport], None] = lambda _: None) -> GalleryReport:
    """Writes a dataset's gallery as of now, in rounds: a page that lacks thumbnails can be looked at meanwhile.

    Raises DatasetError where there is no dataset, or no row in it yet, and StorageError.
    """
    made = 0
    seconds = ROUND_SECONDS
    troubles: dict[str, str] = {}
    while True:
        report = await write_round(storage, troubles, seconds)
        made += report.thumbnails_made
        on_round(report)
        if not report.thumbnails_waiting:
            return replace(report, thumbnails_made=made)
        if report.is_final:
            # Nobody waits for news: writing the tables of a large dataset again and again would take the most time.
            seconds *= 2


async def write_round(storage: Storage, troubles: dict[str, str], seconds: float = ROUND_SECONDS) -> GalleryReport:
    """Writes the gallery once, with the thumbnails that can be made in about that many seconds.

    `troubles` are the images that can't be shown, with why, and are not tried again: one round passes them to the next.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        snapshot = await take_snapshot(storage, Path(folder))
        costs = await asyncio.to_thread(_costs, snapshot)
        # Of a large dataset the ledger and the records take more memory than all that comes after.
        snapshot = replace(snapshot, known=KnownState())
        files = GalleryFiles(storage)
        before = await files.look()
        packs = ThumbnailPacks(storage, files, before.packs, troubles)
        await packs.fill(_pictures(snapshot), seconds)
        choices = await asyncio.to_thread(find_choices, snapshot)
        rows = RowParts(choices, packs)
        parts = rows.parts(items(snapshot))
        while (made := await asyncio.to_thread(next, parts, None)) is not None:
            await files.add(made)
        header = await asyncio.to_thread(_header, storage, snapshot, choices, rows)
    header["costs"] = costs
    await files.replace(PAGE, await asyncio.to_thread(page, header))
    await files.replace(NEWS, b'galleryPart("now", ' + script_json(header["written_at"]) + b");\n")
    used = [*packs.packs, *rows.rows, *rows.records]
    await files.remember(GalleryState(packs.packs, used))
    await files.sweep(used, before.parts)
    return GalleryReport(
        page_url=gallery_page(storage),
        items=rows.items,
        images=rows.images,
        unshown=len(packs.troubles),
        thumbnails_made=packs.made,
        thumbnails_waiting=packs.waiting,
        is_final=snapshot.is_published,
        seconds=round(time.monotonic() - began, 2),
    )


def _pictures(snapshot: Snapshot) -> Iterator[Picture]:
    for row in table_rows(snapshot.metadata, ["file_name", "sha256"]):
        yield Picture(row["file_name"], row["sha256"] or row["file_name"])


def _header(storage: Storage, snapshot: Snapshot, choices: Choices, rows: RowParts) -> dict[str, Any]:
    """What the page starts from."""
    return {
        "name": storage.url.rstrip("/").rpartition("/")[2] or storage.url,
        "url": storage.url,
        "origin": snapshot.identity.origin,
        "written_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "is_final": snapshot.is_published,
        "items": rows.items,
        "images": rows.images,
        "suspects": rows.suspects,
        "near_duplicates": rows.near_duplicates,
        "outcome_names": OUTCOMES,
        "outcomes": rows.outcomes,
        "choices": choices.values,
        "texts": choices.texts,
        "groups": {"asked": PARAMETERS, "row": ROW_COLUMNS, "own": own_columns(snapshot)},
        "parts": {"rows": rows.rows, "records": rows.records, "packs": list(rows.packs.packs)},
        "sizes": {"rows": ROWS_PER_PART, "records": RECORDS_PER_PART},
    }


def _costs(snapshot: Snapshot) -> dict[str, Any]:
    """What all orders of the dataset cost, over all its runs."""
    costs = Costs.of(snapshot.known.ledger())
    return {
        "all": asdict(costs.total),
        "outcomes": {name: asdict(cost) for name, cost in costs.by_outcome.items()},
        "qualities": {name: asdict(cost) for name, cost in costs.by_quality.items()},
        "stored": snapshot.known.images,
    }
