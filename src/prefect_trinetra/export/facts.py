"""What an export's papers say of its images: counted from the table, a batch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from prefect_trinetra.export.report import ExportReport
from prefect_trinetra.export.selection import Selection
from prefect_trinetra.images import image_extension

__all__ = ["PARAMETER_COLUMNS", "Facts", "day", "gather_facts"]

PARAMETER_COLUMNS: Final = ("model", "quality", "aspect_ratio", "background", "output_format", "moderation", "format")
VALUES_SHOWN: Final = 12


@dataclass
class Facts:
    """Times are UTC; money is in credits. `parameters` counts images by each parameter's values."""

    origin: str
    images: int = 0
    image_bytes: int = 0
    requests: int = 0
    credits_charged: float = 0.0
    credits_not_told: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    parameters: dict[str, Counter[str]] = field(default_factory=dict)
    _last_key: str | None = None

    @property
    def models(self) -> Sequence[str]:
        return sorted(self.parameters.get("model", Counter()))

    @property
    def extensions(self) -> Sequence[str]:
        """Of the image files, as in `png`."""
        return sorted(image_extension(image_format) for image_format in self.parameters.get("format", Counter()))

    def shown(self, column: str) -> str:
        """The values of a parameter with how many images have each, the most frequent first."""
        counts = self.parameters[column].most_common()
        words = [f"{value} ({count:,})" for value, count in counts[:VALUES_SHOWN]]
        return ", ".join(words) + (f" and {len(counts) - VALUES_SHOWN:,} more" if len(counts) > VALUES_SHOWN else "")

    def add(self, table: pa.Table) -> None:
        """Counts the rows of a batch."""
        self.images += table.num_rows
        self.image_bytes += pc.sum(table["bytes"]).as_py() or 0
        # The images of one request follow each other.
        keys = table["key"].to_pylist()
        self.requests += sum(key != before for before, key in pairwise([self._last_key, *keys]))
        self._last_key = keys[-1] if keys else self._last_key
        charged = table["credits_charged"]
        self.credits_charged += pc.sum(charged).as_py() or 0.0
        self.credits_not_told += charged.null_count
        for column in PARAMETER_COLUMNS:
            if column in table.column_names:
                counted = self.parameters.setdefault(column, Counter())
                counted.update(str(value) for value in table[column].to_pylist() if value is not None)
        self._add_times(table)

    def _add_times(self, table: pa.Table) -> None:
        first, last = pc.min(table["submitted_at"]).as_py(), pc.max(table["finished_at"]).as_py()
        self.first_at = min(filter(None, [self.first_at, first]), default=None)
        self.last_at = max(filter(None, [self.last_at, last]), default=None)


def gather_facts(origin: str, report: ExportReport, selection: Selection) -> Facts:
    """Reads the selection once more; images that could not be read count for nothing."""
    facts = Facts(origin)
    unreadable = pa.array(sorted(report.unreadable), pa.string())
    for table, _ in selection.batches():
        facts.add(table.filter(pc.invert(pc.is_in(table["file_name"], value_set=unreadable))))
    return facts


def day(moment: datetime | None) -> str:
    """A date as people and Croissant write it; today's where none is known."""
    return (moment or datetime.now(UTC)).date().isoformat()
