"""The rows of a small dataset with their pictures, as Markdown."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow.parquet as pq

from prefect_trinetra.errors import StorageError
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage import Storage
from prefect_trinetra.tasks.artifacts import plain_markdown
from prefect_trinetra.thumbnails import thumbnail_uri
from prefect_trinetra.views import ROWS_FILE

__all__ = ["shown_rows"]

# The list of artifacts fetches each of them whole.
MAX_PICTURES: Final = 16
SHOWN_WIDTH: Final = 320


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
