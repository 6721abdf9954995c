"""Which rows share a file, decided from the table alone: so names hold no holes, and a rerun makes the same files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.export.selection import Selection

__all__ = ["FINGERPRINT_DIGITS", "MAX_SHARD_ROWS", "MAX_SPLITS", "ShardPlan", "ShardRows"]

# Small images: ten thousand of them are a file that shuffles well and is soon made anew.
MAX_SHARD_ROWS: Final = 10_000
# More values than this are no splits, but labels.
MAX_SPLITS: Final = 100
# Beside the image itself: three tar members' headers and padding, or a row's share of Parquet's pages.
FRAME_BYTES: Final = 4_096
# A row's text stands in the JSON with its column names, and the prompt once more.
TEXT_FACTOR: Final = 4
FINGERPRINT_DIGITS: Final = 8


@dataclass(frozen=True)
class ShardRows:
    """The rows of one file: `number` of `count` of its split, counted from 0."""

    split: str
    number: int
    count: int
    table: pa.Table

    def name(self, fingerprint: str, extension: str) -> str:
        """The file's name: `train-00000-of-00012-` and eight digits of the export's fingerprint.

        So that files of two exports never mix: mlcroissant keeps what it took out of a tar file by the file's name.
        """
        return f"{self.split}-{self.number:05d}-of-{self.count:05d}-{fingerprint[:FINGERPRINT_DIGITS]}.{extension}"


@dataclass
class ShardPlan:
    """For each split, in the order of their first rows, how many rows each of its files holds."""

    sizes: dict[str, list[int]] = field(default_factory=dict)
    images: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, selection: Selection, max_bytes: int) -> ShardPlan:
        """Reads the whole selection once. Raises ConfigurationError for more splits than anybody can want."""
        plan = cls()
        filled: dict[str, int] = {}
        for table, splits in selection.batches():
            row_bytes = FRAME_BYTES + TEXT_FACTOR * table.nbytes // table.num_rows
            for split, image_bytes in zip(splits, table["bytes"].to_pylist(), strict=True):
                plan.images += 1
                plan.bytes += image_bytes or 0
                _add(plan.sizes, filled, split, (image_bytes or 0) + row_bytes, max_bytes)
            if len(plan.sizes) > MAX_SPLITS:
                raise ConfigurationError(
                    f"the column {selection.spec.splits.column} has more than {MAX_SPLITS} values: choose another one "
                    "to split by"
                )
        return plan

    def shards(self, selection: Selection) -> Iterator[ShardRows]:
        """The rows of each file, one file at a time."""
        for split, sizes in self.sizes.items():
            pieces = _cut((table for table, _ in selection.batches(split)), sizes)
            for number, table in enumerate(pieces):
                yield ShardRows(split, number, len(sizes), table)


def _add(sizes: dict[str, list[int]], filled: dict[str, int], split: str, row_bytes: int, max_bytes: int) -> None:
    mine = sizes.setdefault(split, [])
    is_full = filled.get(split, 0) + row_bytes > max_bytes or (mine and mine[-1] >= MAX_SHARD_ROWS)
    if not mine or is_full:
        mine.append(0)
        filled[split] = 0
    mine[-1] += 1
    filled[split] += row_bytes


def _cut(tables: Iterable[pa.Table], sizes: list[int]) -> Iterator[pa.Table]:
    """The rows of `tables` again, in pieces of those sizes."""
    waiting: list[pa.Table] = []
    rows = 0
    wanted = iter(sizes)
    size = next(wanted, 0)
    for table in tables:
        waiting.append(table)
        rows += table.num_rows
        while size and rows >= size:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, size)
            waiting, rows = [whole.slice(size)], rows - size
            size = next(wanted, 0)
