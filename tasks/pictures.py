"""A dataset's pictures as Markdown: all rows of a small one with theirs, or a contact sheet of a large one."""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from prefect_trinetra.errors import StorageError
from prefect_trinetra.gallery.writing import gallery_page, has_gallery
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage import Storage
from prefect_trinetra.tasks.artifacts import plain_markdown
from prefect_trinetra.thumbnails import thumbnail_uri
from prefect_trinetra.views import METADATA_FILE, ROWS_FILE

__all__ = ["shown_rows", "shown_sheet"]

# The list of artifacts fetches each of them whole.
MAX_PICTURES: Final = 16
SHOWN_WIDTH: Final = 320
SHEET_EDGE: Final = 220
SHEET_WIDTH: Final = 150
SHEET_COLUMNS: Final = 4
NO_GALLERY: Final = "All of them on one page: `prefect-trinetra gallery DATASET`, or the flow `make-gallery`."


def shown_rows(spec: RunSpec) -> str:
    """Each row with what became of it, why, and its pictures; for runs of a few rows."""
    storage = Storage.open(spec.dataset, spec.storage_options)
    return io_loop().run(_shown_rows(storage))


async def _shown_rows(storage: Storage) -> str:
    rows = pq.read_table(io.BytesIO(await storage.read(ROWS_FILE))).to_pylist()
    parts: list[str] = []
    for row in rows:
        parts += _words(row)
        for name in (row["files"] or [])[: MAX_PICTURES // len(rows) or 1]:
            parts.append(await _picture(storage, name))
    return "\n\n".join(["", *parts])


def _words(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"**{plain_markdown(row['prompt'] or '')}**"
    if row["outcome"] != Outcome.SUCCEEDED or row["reason"]:
        yield f"{row['outcome']}: {plain_markdown(row['reason'] or 'no reason given')}"


async def _picture(storage: Storage, name: str) -> str:
    try:
        uri = thumbnail_uri(await storage.read(name))
    except (OSError, StorageError) as error:
        return f"`{name}` can't be shown: {plain_markdown(str(error))}"
    return f'<img src="{uri}" width="{SHOWN_WIDTH}">\n\n`{name}`'


def shown_sheet(spec: RunSpec) -> str:
    """At most sixteen small pictures, spread over the whole dataset, and where its gallery lies if there is one."""
    storage = Storage.open(spec.dataset, spec.storage_options)
    return io_loop().run(_shown_sheet(storage))


async def _shown_sheet(storage: Storage) -> str:
    # A picture of the run must not end it: what was bought is recorded, and stays so.
    try:
        names = await _spread(storage)
        pictures = await asyncio.gather(*(_small(storage, name) for name in names))
        gallery = f"Gallery: `{gallery_page(storage)}`" if await has_gallery(storage) else NO_GALLERY
    except (OSError, StorageError) as error:
        return f"\nThe pictures can't be shown: {plain_markdown(str(error))}"
    return "\n".join(["", *_in_rows(pictures), "", gallery])


def _in_rows(pictures: Sequence[str]) -> Iterator[str]:
    """A table without headings: in Prefect's pages pictures of a paragraph stand one below the other."""
    yield "|" + " |" * SHEET_COLUMNS
    yield "|" + " --- |" * SHEET_COLUMNS
    for start in range(0, len(pictures), SHEET_COLUMNS):
        yield f"| {' | '.join(pictures[start : start + SHEET_COLUMNS])} |"


async def _spread(storage: Storage) -> Sequence[str]:
    """The names of so many images, at even distances, in the manifest's order."""
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        file = Path(folder) / METADATA_FILE
        await storage.download(METADATA_FILE, file)
        names: list[str] = pq.read_table(file, columns=["file_name"])["file_name"].to_pylist()
    count = min(MAX_PICTURES, len(names))
    return [names[place * len(names) // count] for place in range(count)]


async def _small(storage: Storage, name: str) -> str:
    try:
        uri = await asyncio.to_thread(thumbnail_uri, await storage.read(name), SHEET_EDGE)
    except (OSError, StorageError):
        return f"`{name}` can't be shown"
    return f'<img src="{uri}" width="{SHEET_WIDTH}">'
