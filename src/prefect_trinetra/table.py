"""A manifest made from a table in memory: Parquet bytes, and a name that says what is in them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from prefect_trinetra.columns import TEXT_TYPES, as_text, column_names
from prefect_trinetra.errors import ManifestError
from prefect_trinetra.listed_rows import ListedRows

__all__ = ["write_table"]

# Of 64 hexadecimal digits: as many as keep the manifests of one folder apart.
NAME_DIGITS: Final = 16
WHAT_IS_TAKEN: Final = "give a table (pandas, polars, pyarrow, ...) or dictionaries"


def write_table(rows: Any) -> tuple[str, bytes]:
    """A file name and the Parquet bytes of `rows`: dictionaries, or any table with an Arrow C stream.

    Equal rows get the same name. Raises ManifestError where there are none, or where they are no table.
    """
    table = _table(rows).replace_schema_metadata(None)
    column_names(table.column_names, "the table")
    if not table.num_rows:
        raise ManifestError("the table has no rows: there is nothing to do")
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    data = buffer.getvalue()
    return f"manifest-{hashlib.sha256(data).hexdigest()[:NAME_DIGITS]}.parquet", data


def _table(rows: Any) -> pa.Table:
    if hasattr(rows, "__arrow_c_stream__"):
        return _imported(rows)
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise ManifestError(f"a {type(rows).__name__} is no manifest: {WHAT_IS_TAKEN}")
    return _from_dictionaries(list(rows))


def _imported(rows: Any) -> pa.Table:
    try:
        table = pa.table(rows)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ManifestError(f"the {type(rows).__name__} can't become an Arrow table: {error}") from error
    # libraries hand out large strings or views of strings, which not every Parquet writer takes
    kinds = [pa.string() if kind in TEXT_TYPES else kind for kind in table.schema.types]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))


def _from_dictionaries(rows: Sequence[Any]) -> pa.Table:
    listed = ListedRows(rows)
    found = list(listed.rows(hashlib.sha256()))
    for raw in found:
        if raw.problem is not None:
            raise ManifestError(f"{raw.place}: {raw.problem}; {WHAT_IS_TAKEN}")
    return pa.table(
        {name: _column([raw.cells.get(name) for raw in found], kind) for name, kind in listed.types.items()}
    )


def _column(values: Sequence[Any], kind: pa.DataType | None) -> pa.Array:
    return pa.array(values, kind) if kind is not None else pa.array(map(as_text, values), pa.string())
