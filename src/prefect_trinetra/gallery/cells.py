"""A table's values as a page can show them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["Cell", "shown", "table_rows"]

Cell = str | int | float | bool | None

BATCH_ROWS: Final = 1_000
# Beyond this a browser's numbers are no longer exact.
EXACT: Final = 2**53


def shown(value: Any) -> Cell:
    """A value as JSON has it: what is no single value becomes text, and so do numbers that a browser would round."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -EXACT <= value <= EXACT else str(value)
        case float():
            return value if value - value == 0 else str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return f"{len(value):,} bytes"
        case list() | dict():
            return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        case _:
            return str(value)


def table_rows(file: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, a thousand in memory at a time."""
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(BATCH_ROWS, columns=columns, use_threads=False):
            names = batch.schema.names
            for values in zip(*map(_values, batch.columns), strict=True):
                yield dict(zip(names, values, strict=True))


def _values(column: pa.Array) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):
        # Times finer or further away than Python's own.
        return list(column.cast(pa.string()).to_pylist())
