"""Which columns a gallery offers to choose from, and which it searches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.gallery.cells import shown
from prefect_trinetra.gallery.items import PARAMETERS, own_columns
from prefect_trinetra.snapshot import Snapshot

__all__ = ["Choices", "choice_of", "find_choices"]

# As many as a person reads through in a list.
MAX_CHOICES: Final = 30
MAX_CHARACTERS: Final = 60
# A column that tells apart most rows is a name, not a kind.
ROWS_PER_CHOICE: Final = 2
BATCH_ROWS: Final = 10_000
# What is no parameter and no column of the manifest, and good to choose from.
FOUND: Final = ("reason_class",)
ORDER: Final = {"low": "0", "medium": "1", "high": "2"}


@dataclass(frozen=True)
class Choices:
    """`values` are the columns with few values, each with its values; `texts` those that are searched instead."""

    values: dict[str, list[str]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)


def choice_of(value: object) -> str:
    """A cell as one of a column's values; an empty cell is one too."""
    cell = shown(value)
    return "" if cell is None else str(cell).lower() if isinstance(cell, bool) else str(cell)


def find_choices(snapshot: Snapshot) -> Choices:
    """Reads the tables column by column."""
    own = own_columns(snapshot)
    found: dict[str, set[str] | None] = {}
    files = [file for file in (snapshot.metadata, snapshot.rows, snapshot.plan_rows) if file is not None]
    for name in [*PARAMETERS, *FOUND, *own]:
        found[name] = _distinct([snapshot.rows] if name in own else files, name)
        if name not in own:
            # That it is empty says no more than that the row is invalid, or has succeeded.
            (found[name] or set()).discard("")
    rows = pq.read_metadata(snapshot.rows).num_rows
    most = min(MAX_CHOICES, max(2, rows // ROWS_PER_CHOICE))
    choices = {name: values for name, values in found.items() if values is not None and 1 < len(values) <= most}
    texts = [name for name in own if found[name] is None or len(found[name] or ()) > most]
    return Choices({name: _sorted(values) for name, values in choices.items()}, texts)


def _distinct(files: Iterable[Path], name: str) -> set[str] | None:
    """A column's values over the files that have it; None where they are too many or too long."""
    values: set[str] = set()
    for path in files:
        with pq.ParquetFile(path) as file:
            if name not in file.schema_arrow.names:
                continue
            for batch in file.iter_batches(BATCH_ROWS, columns=[name], use_threads=False):
                values |= _unique(batch.column(0))
                if len(values) > MAX_CHOICES or any(len(value) > MAX_CHARACTERS for value in values):
                    return None
    return values


def _unique(column: object) -> set[str]:
    try:
        listed = pc.unique(column).to_pylist()
    except (NotImplementedError, ValueError, OverflowError):
        # Lists and structures have no order to look for equals in; odd times no Python value.
        listed = [str(value) for value in column]  # type: ignore[attr-defined]
    return {choice_of(value) for value in listed}


def _sorted(values: set[str]) -> list[str]:
    def place(value: str) -> tuple[bool, float, str]:
        try:
            return False, float(value), value
        except ValueError:
            return True, 0.0, ORDER.get(value, value.lower())

    return sorted(values, key=place)
