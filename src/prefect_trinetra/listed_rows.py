"""A manifest that is no file: rows handed over by a program, as dictionaries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from prefect_trinetra.columns import ColumnTypes
from prefect_trinetra.errors import ManifestError
from prefect_trinetra.text_files import Digest, RawRow, named_row

__all__ = ["ListedRows"]


class ListedRows:
    """Rows that are in memory already."""

    name = "the list of rows"

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows
        found = ColumnTypes()
        for row in rows:
            if isinstance(row, Mapping):
                found.add(_named(row))
        self._spellings = found.spellings
        self.types: Mapping[str, pa.DataType | None] = found.types()
        if not self.types:
            raise ManifestError("the list of rows holds no dictionary: give rows such as {'prompt': '...'}")

    def rows(self, digest: Digest) -> Iterator[RawRow]:
        for number, row in enumerate(self._rows, start=1):
            digest.update(_told(row))
            if isinstance(row, Mapping):
                yield named_row(f"row {number}", _named(row), self._spellings)
            else:
                yield RawRow(f"row {number}", {}, "it is no dictionary of column names and values")

    def skim(self, digest: Digest) -> None:
        for row in self._rows:
            digest.update(_told(row))


def _told(row: Any) -> bytes:
    return orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"


def _named(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}
