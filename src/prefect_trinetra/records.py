"""What became of each request and of each of its images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from prefect_trinetra.outcomes import Outcome

__all__ = ["RECORD_SCHEMA", "Record", "merge_records", "read_record_rows", "records_table", "standing_record"]


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one image of a request, or (index 0, no file) of a request that has none.

    Times are seconds since the epoch. `credits_charged` is this image's share of what its job cost, in credits.
    """

    key: str
    index: int
    sample: int
    attempt: int
    outcome: Outcome
    finished_at: float
    reason: str | None = None
    reason_class: str | None = None
    job_id: str | None = None
    file_name: str | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    suspect: str | None = None
    outputs_missing: int = 0
    credits_charged: float | None = None
    submitted_at: float | None = None
    request: str | None = None
    package_version: str | None = None
    perceptual_hash: str | None = None

    @property
    def rank(self) -> tuple[bool, int, float, str]:
        """Order of preference between two records of one image: a success first, else the later one.

        A later attempt is later whatever its machine's clock says; only of one attempt the times are compared.
        """
        return (self.outcome is Outcome.SUCCEEDED, self.attempt, self.finished_at, self.sha256 or "")


RECORD_SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),
        ("index", pa.int32()),
        ("sample", pa.int32()),
        ("attempt", pa.int32()),
        ("outcome", pa.string()),
        ("finished_at", pa.float64()),
        ("reason", pa.string()),
        ("reason_class", pa.string()),
        ("job_id", pa.string()),
        ("file_name", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("format", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("suspect", pa.string()),
        ("outputs_missing", pa.int32()),
        ("credits_charged", pa.float64()),
        ("submitted_at", pa.float64()),
        ("request", pa.string()),
        ("package_version", pa.string()),
        ("perceptual_hash", pa.string()),
    ]
)


def records_table(records: Iterable[Record]) -> pa.Table:
    """Records as a table of RECORD_SCHEMA."""
    listed = list(records)
    columns = [pa.array([getattr(record, field.name) for record in listed], field.type) for field in RECORD_SCHEMA]
    return pa.Table.from_arrays(columns, schema=RECORD_SCHEMA)


def read_record_rows(table: pa.Table) -> Iterable[Record]:
    """The records of a table; columns that a later version added are left out."""
    names = [name for name in RECORD_SCHEMA.names if name in table.column_names]
    for values in zip(*(table.column(name).to_pylist() for name in names), strict=True):
        fields: dict[str, Any] = dict(zip(names, values, strict=True))
        yield Record(**(fields | {"outcome": Outcome(fields["outcome"])}))


def merge_records(records: Iterable[Record]) -> dict[str, list[Record]]:
    """One record an image from many parts, in any order: by (key, index), a success beats everything, else the latest.

    A key with a success keeps only the records of its images; any other key keeps the latest word about it.
    """
    merged: dict[str, dict[int, Record]] = {}
    for record in records:
        images = merged.setdefault(record.key, {})
        known = images.get(record.index)
        if known is None or record.rank > known.rank:
            images[record.index] = record
    return {key: _settled(images) for key, images in merged.items()}


def _settled(images: Mapping[int, Record]) -> list[Record]:
    best = max(images.values(), key=lambda record: record.rank)
    if best.outcome is not Outcome.SUCCEEDED:
        return [best]
    return [record for _, record in sorted(images.items())]


def standing_record(records: Iterable[Record]) -> Record:
    """The record that says what became of the request as a whole."""
    return max(records, key=lambda record: record.rank)
