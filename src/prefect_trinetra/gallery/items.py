"""What a gallery shows: every image of the latest manifest, and every row that has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow.parquet as pq

from prefect_trinetra.gallery.cells import table_rows
from prefect_trinetra.plan import REQUEST_FIELDS
from prefect_trinetra.snapshot import Snapshot

__all__ = ["PARAMETERS", "ROW_COLUMNS", "Item", "items", "own_columns"]

PARAMETERS: Final = tuple(name for name in REQUEST_FIELDS if name != "prompt")
# What rows.parquet says of a row before the manifest's own columns begin.
ROW_COLUMNS: Final = (
    "row",
    "sample",
    "source",
    "key",
    "outcome",
    "reason_class",
    "reason",
    "duplicate_of",
    "files",
    "outputs_missing",
    "prompt",
)


@dataclass(frozen=True, slots=True)
class Item:
    """An image, or a row that has none. `cells` is all that is known of it, by column."""

    cells: Mapping[str, Any]
    has_image: bool

    @property
    def id(self) -> str:
        """Its name in an address: the same as long as the manifest's rows stay where they are."""
        return f"{self.cells['row']}-{self.cells['sample']}-{self.cells.get('index') or 0}"


def own_columns(snapshot: Snapshot) -> list[str]:
    """The manifest's own columns, as the tables name them."""
    return [name for name in pq.read_schema(snapshot.rows).names if name not in ROW_COLUMNS]


def items(snapshot: Snapshot) -> Iterator[Item]:
    """In the manifest's order. A row that repeats an earlier one is left out where that one's images are shown."""
    images = table_rows(snapshot.metadata)
    asked = _asked(snapshot)
    for row in table_rows(snapshot.rows):
        parameters = next(asked, {})
        if not row["files"]:
            yield Item({**parameters, **row}, has_image=False)
        elif row["duplicate_of"] is None:
            for _ in row["files"]:
                yield Item({**row, **next(images)}, has_image=True)


def _asked(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """The parameters of each row, which a row without an image has in no table but the plan's."""
    if snapshot.plan_rows is None:
        return
    columns = ["row", *PARAMETERS]
    for row in table_rows(snapshot.plan_rows, columns):
        # Jobs of an earlier manifest's rows have a number below 0: they are no rows of this one.
        if row.pop("row") > 0:
            yield row
