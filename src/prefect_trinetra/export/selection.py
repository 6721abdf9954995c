"""The rows of a dataset's table that go into an export, in its order, a batch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.errors import ConfigurationError, DatasetError
from prefect_trinetra.export.spec import LEFT_OUT, NEEDED_COLUMNS, ExportSpec
from prefect_trinetra.export.splits import DEFAULT_SPLIT

__all__ = ["IMAGE_COLUMN", "Selection"]

BATCH_ROWS: Final = 1_000
# What loaders call the picture itself.
IMAGE_COLUMN: Final = "image"
# Names of the export's own columns: a manifest's column of that name gets another one.
TAKEN: Final = frozenset({IMAGE_COLUMN, "image_file", "shard"})


@dataclass
class Selection:
    """What an export takes from metadata.parquet: `batches` with the split of each row.

    `left_out` counts, once all batches were read, the images that are not in it, by why: a word of LEFT_OUT, or
    `where`.
    """

    metadata_file: Path
    spec: ExportSpec
    left_out: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        try:
            names = self.schema_found.names
        except pa.ArrowException as error:
            raise DatasetError(f"metadata.parquet of {self.spec.dataset} is damaged ({error}): {_RENEW}") from error
        for missing in sorted(NEEDED_COLUMNS - {*names}):
            raise ConfigurationError(f"metadata.parquet of {self.spec.dataset} has no column {missing}: {_RENEW}")
        for word in self.spec.without:
            if LEFT_OUT[word] not in names:
                raise ConfigurationError(
                    f"metadata.parquet of {self.spec.dataset} does not tell of {word}s (no column {LEFT_OUT[word]}): "
                    f"{_RENEW}"
                )
        asked = [*self.spec.where, *self.spec.drop, *filter(None, [self.spec.splits.source])]
        for name in asked:
            if name not in names:
                raise ConfigurationError(
                    f"{self.spec.dataset} has no column {name}: its columns are {', '.join(names)}"
                )

    @property
    def schema_found(self) -> pa.Schema:
        """The schema of the dataset's own table."""
        return pq.read_schema(self.metadata_file)

    @property
    def schema(self) -> pa.Schema:
        """The columns that are exported, by the names that they get, without the picture."""
        kept = [each for each in self.schema_found if each.name not in self.spec.drop]
        return pa.schema([each.with_name(_free_name(each.name, self.schema_found.names)) for each in kept])

    def batches(self, split: str | None = None) -> Iterator[tuple[pa.Table, list[str]]]:
        """Tables of at most 1,000 rows with the split of each row; of one split alone where it is named."""
        self.left_out.clear()
        with pq.ParquetFile(self.metadata_file, pre_buffer=False) as file:
            for batch in file.iter_batches(BATCH_ROWS, use_threads=False):
                table = self._kept(pa.Table.from_batches([batch]))
                splits = self._splits(table)
                if split is not None:
                    mine = pa.array([name == split for name in splits], pa.bool_())
                    table, splits = table.filter(mine), [split] * pc.sum(mine).as_py() if splits else []
                if table.num_rows:
                    yield table, splits

    def exported(self, table: pa.Table) -> pa.Table:
        """The columns of `schema` from a table of `batches`."""
        names = [name for name in self.schema_found.names if name not in self.spec.drop]
        return table.select(names).rename_columns(self.schema.names)

    def _kept(self, table: pa.Table) -> pa.Table:
        for word in sorted(self.spec.without):
            table = self._counted(word, table, table.filter(pc.is_null(table[LEFT_OUT[word]])))
        for name, values in self.spec.where.items():
            table = self._counted("where", table, table.filter(_is_one_of(table[name], name, list(values))))
        return table

    def _counted(self, why: str, before: pa.Table, after: pa.Table) -> pa.Table:
        if after.num_rows < before.num_rows:
            self.left_out[why] += before.num_rows - after.num_rows
        return after

    def _splits(self, table: pa.Table) -> list[str]:
        source = self.spec.splits.source
        if source is None:
            return [DEFAULT_SPLIT] * table.num_rows
        return self.spec.splits.of_values(table[source].to_pylist())


_RENEW: Final = "generate again with the same manifest, which is free and writes it anew"


def _is_one_of(column: pa.ChunkedArray, name: str, values: list[str]) -> pa.ChunkedArray:
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise ConfigurationError(f"where {name}: a column of type {column.type} can't be compared with text")
    text = pc.fill_null(pc.cast(column, pa.string()), "")
    return pc.is_in(text, value_set=pa.array(values, pa.string()))


def _free_name(name: str, names: list[str]) -> str:
    """The column's name in the export: its own, unless the export has one of that name."""
    free = name
    while free in TAKEN or (free != name and free in names):
        free = f"manifest_{free}"
    return free
