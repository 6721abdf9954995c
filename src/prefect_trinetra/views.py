"""What a dataset is read by: a row an image, a row a manifest row (both Parquet), and a line a failed row."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.costs import Cost
from prefect_trinetra.failures import FAILURES_FILE, failure_lines
from prefect_trinetra.joining import Joined, Joining, LeftOver
from prefect_trinetra.known import KnownState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import MANIFEST_PREFIX, REQUEST_FIELDS
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.request import unsigned_url
from prefect_trinetra.settled import rows_at

__all__ = ["DIGITAL_SOURCE_TYPE", "METADATA_FILE", "ROWS_FILE", "VIEWS", "LeftOver", "ViewTotals", "write_views"]

METADATA_FILE: Final = "metadata.parquet"
ROWS_FILE: Final = "rows.parquet"
VIEWS: Final = (METADATA_FILE, ROWS_FILE, FAILURES_FILE)
# IPTC's word for a picture that a generative model made.
DIGITAL_SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_TIME: Final = pa.timestamp("us", tz="UTC")
_IMAGE_FIELDS: Final = [("file_name", pa.string()), ("key", pa.string()), ("sample", pa.int32()), ("index", pa.int32())]
_RECORD_FIELDS: Final = [
    ("job_id", pa.string()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("format", pa.string()),
    ("bytes", pa.int64()),
    ("sha256", pa.string()),
    ("credits_charged", pa.float64()),
    ("suspect", pa.string()),
    ("near_duplicate_of", pa.string()),
    ("perceptual_hash", pa.string()),
    ("package_version", pa.string()),
]
_SOURCE_TYPE: Final = ("digital_source_type", pa.string())
_ROW_FIELDS: Final = [
    ("row", pa.int64()),
    ("sample", pa.int32()),
    ("source", pa.string()),
    ("key", pa.string()),
    ("outcome", pa.string()),
    ("reason_class", pa.string()),
    ("reason", pa.string()),
    ("duplicate_of", pa.int64()),
    ("files", pa.list_(pa.string())),
    ("outputs_missing", pa.int32()),
    ("prompt", pa.string()),
]


@dataclass
class ViewTotals:
    """What was counted while the views were written."""

    rows: int = 0
    images: int = 0
    suspects: int = 0
    near_duplicates: int = 0
    usable: int = 0
    outputs_missing: int = 0
    cost: Cost = field(default_factory=Cost)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reason_classes: Counter[ReasonClass] = field(default_factory=Counter)


def write_views(plan_rows: Path, known: KnownState, left_over: LeftOver, folder: Path) -> ViewTotals:
    """Joins a plan's rows with what is recorded, a row group at a time, into the VIEWS, written under `folder`."""
    with pq.ParquetFile(plan_rows) as source:
        tables = _Tables(Joining(source, known, left_over), _own_columns(source.schema_arrow))
        with (
            pq.ParquetWriter(folder / METADATA_FILE, tables.metadata_schema, compression="zstd") as metadata,
            pq.ParquetWriter(folder / ROWS_FILE, tables.rows_schema, compression="zstd") as rows,
            (folder / FAILURES_FILE).open("wb") as failures,
        ):
            for joined in tables.joining.groups(source):
                rows.write_table(tables.rows(joined))
                metadata.write_table(tables.metadata(joined))
                failures.writelines(failure_lines(joined.rows, joined.told, known.unsettled))
    return tables.totals


class _Tables:
    """Turns joined rows into those of the views, and counts them."""

    def __init__(self, joining: Joining, own: dict[str, pa.Field]) -> None:
        self.totals = ViewTotals()
        self.joining = joining
        self._own = own
        # The prompt first, then the rest as the request has them.
        names = sorted(REQUEST_FIELDS, key=lambda name: name != "prompt")
        parameters = [(name, _parameter_type(name)) for name in names]
        times = [("submitted_at", _TIME), ("finished_at", _TIME)]
        ours = pa.schema([*_IMAGE_FIELDS, *parameters, *_RECORD_FIELDS, *times, _SOURCE_TYPE])
        self.metadata_schema = _with_own(ours, own)
        self.rows_schema = _with_own(pa.schema(_ROW_FIELDS), own)

    def rows(self, joined: Joined) -> pa.Table:
        totals, images = self.totals, joined.images
        totals.rows += len(joined.told)
        totals.outcomes.update(each.outcome or Outcome.PENDING for each in joined.told)
        totals.reason_classes.update(each.reason_class for each in joined.told if each.reason_class is not None)
        totals.cost += joined.cost
        offsets = pa.array(np.concatenate(([0], np.cumsum(joined.counts))), pa.int32())
        mine = {
            "outcome": [each.outcome for each in joined.told],
            "reason_class": [each.reason_class for each in joined.told],
            "reason": [each.reason for each in joined.told],
            "duplicate_of": joined.rows["first_row"],
            "files": pa.ListArray.from_arrays(offsets, images["file_name"].combine_chunks()),
            "outputs_missing": joined.outputs_missing,
        }
        return self._table(self.rows_schema, joined.rows, mine)

    def metadata(self, joined: Joined) -> pa.Table:
        images, owners = joined.first_images
        self._count(images, joined)
        planned = rows_at(joined.rows, owners)
        mine: dict[str, Any] = {
            name: images[name]
            for name, _ in [*_IMAGE_FIELDS, *_RECORD_FIELDS]
            if name not in {"key", "sample", "near_duplicate_of"}
        }
        mine["near_duplicate_of"] = joined.near_duplicate_of
        mine["digital_source_type"] = pa.repeat(DIGITAL_SOURCE_TYPE, len(owners))
        for name in ("submitted_at", "finished_at"):
            mine[name] = pc.round(pc.multiply(images[name], 1_000_000)).cast(pa.int64())
        if planned["image_url"].null_count < len(owners):
            mine["image_url"] = [unsigned_url(url) for url in planned["image_url"].to_pylist()]
        return self._table(self.metadata_schema, planned, mine)

    def _count(self, images: pa.Table, joined: Joined) -> None:
        is_fine, is_first = pc.is_null(images["suspect"]), pc.is_null(joined.near_duplicate_of)
        self.totals.images += images.num_rows
        self.totals.suspects += images.num_rows - is_fine.to_pylist().count(True)
        self.totals.near_duplicates += joined.near_duplicate_of.is_valid().true_count
        self.totals.usable += pc.and_(is_fine.combine_chunks(), is_first).true_count
        self.totals.outputs_missing += int(joined.outputs_missing[joined.is_first].sum())

    def _table(self, schema: pa.Schema, planned: pa.Table, mine: dict[str, Any]) -> pa.Table:
        arrays = []
        for column in schema:
            values = mine.get(column.name)
            if values is None:
                values = planned.column(self._source_of(column.name))
            is_arrow = isinstance(values, pa.Array | pa.ChunkedArray)
            arrays.append(values.cast(column.type) if is_arrow else pa.array(values, column.type))
        return pa.Table.from_arrays(arrays, schema=schema)

    def _source_of(self, name: str) -> str:
        return self._own[name].name if name in self._own else name


def _own_columns(schema: pa.Schema) -> dict[str, pa.Field]:
    """The manifest's own columns by the name they get in the views: their own, unless it is one of ours."""
    ours = {name for name, _ in [*_IMAGE_FIELDS, *_RECORD_FIELDS, *_ROW_FIELDS]}
    ours |= {*REQUEST_FIELDS, "submitted_at", "finished_at", _SOURCE_TYPE[0]}
    own: dict[str, pa.Field] = {}
    for column in schema:
        if column.name.startswith(MANIFEST_PREFIX):
            name = column.name.removeprefix(MANIFEST_PREFIX)
            while name in ours or name in own:
                name = f"manifest_{name}"
            own[name] = column
    return own


def _with_own(ours: pa.Schema, own: dict[str, pa.Field]) -> pa.Schema:
    return pa.schema([*ours, *(column.with_name(name) for name, column in own.items())])


def _parameter_type(name: str) -> pa.DataType:
    return pa.int32() if name in {"n", "output_compression"} else pa.string()
