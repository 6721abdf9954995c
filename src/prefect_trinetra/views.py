"""What a dataset is read by: a row an image, a row a manifest row (both Parquet), and a line a failed row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.costs import Cost
from prefect_trinetra.failures import FAILURES_FILE, failure_lines
from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.near_duplicates import NearDuplicates
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import MANIFEST_PREFIX, REQUEST_FIELDS
from prefect_trinetra.reasons import ReasonClass, class_named
from prefect_trinetra.records import Record
from prefect_trinetra.request import unsigned_url
from prefect_trinetra.standing import Action, Told, outcome_now
from prefect_trinetra.twins import Twins

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


@dataclass(frozen=True, slots=True)
class LeftOver:
    """What is said of rows that no POST was made for."""

    outcome: Outcome
    reason: str
    plan_id: str = ""
    """The plan that was carried out: its own POSTs that were never accepted say why their rows are left over."""

    @property
    def told(self) -> Told:
        is_over_cap = self.outcome is Outcome.OVER_BUDGET
        return Told(self.outcome, self.reason, ReasonClass.OVER_CAP if is_over_cap else ReasonClass.NOT_SUBMITTED)


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
    source = pq.ParquetFile(plan_rows)
    joiner = _Joiner(known, left_over, _own_columns(source.schema_arrow))
    with (
        pq.ParquetWriter(folder / METADATA_FILE, joiner.metadata_schema, compression="zstd") as metadata,
        pq.ParquetWriter(folder / ROWS_FILE, joiner.rows_schema, compression="zstd") as rows,
        (folder / FAILURES_FILE).open("wb") as failures,
    ):
        for number in range(source.metadata.num_row_groups):
            group = source.read_row_group(number)
            # Jobs of an earlier manifest's rows have a number below 0: they are no rows of this one.
            group = group.filter(pc.greater(group["row"], 0))
            judged = joiner.judged(group)
            rows.write_table(joiner.rows_table(group, judged))
            metadata.write_table(joiner.metadata_table(group, judged))
            failures.writelines(failure_lines(group, [each.told for each in judged], joiner.attempts))
    source.close()
    return joiner.totals


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is known of one planned row."""

    told: Told
    images: Sequence[Record] = ()
    is_first: bool = False
    cost: Cost = field(default_factory=Cost)
    """What all POSTs of its request cost, whichever run they are of."""


class _Joiner:
    """Plan rows on one side, records and ledger on the other."""

    def __init__(self, known: KnownState, left_over: LeftOver, own: dict[str, pa.Field]) -> None:
        self.totals = ViewTotals()
        self._known = known
        self._left_over = left_over
        self._own = own
        self._left_keys: set[str] = set()
        self._near_duplicates = NearDuplicates()
        self._twins = Twins.of(record for records in known.records.values() for record in records)
        self.attempts: dict[str, list[Attempt]] = {}
        for attempt in known.ledger():
            self.attempts.setdefault(attempt.key, []).append(attempt)
        # The prompt first, then the rest as the request has them.
        names = sorted(REQUEST_FIELDS, key=lambda name: name != "prompt")
        parameters = [(name, _parameter_type(name)) for name in names]
        times = [("submitted_at", _TIME), ("finished_at", _TIME)]
        ours = pa.schema([*_IMAGE_FIELDS, *parameters, *_RECORD_FIELDS, *times, _SOURCE_TYPE])
        self.metadata_schema = _with_own(ours, own)
        self.rows_schema = _with_own(pa.schema(_ROW_FIELDS), own)

    def judged(self, group: pa.Table) -> list[_Judged]:
        columns = (group.column(name).to_pylist() for name in ("key", "action", "attempt", "reason"))
        return [self._counted(self._one(*values)) for values in zip(*columns, strict=True)]

    def _counted(self, row: _Judged) -> _Judged:
        self.totals.rows += 1
        self.totals.outcomes[row.told.outcome or Outcome.PENDING] += 1
        if row.told.reason_class is not None:
            self.totals.reason_classes[row.told.reason_class] += 1
        if row.is_first:
            self.totals.images += len(row.images)
            self.totals.suspects += sum(record.suspect is not None for record in row.images)
            self.totals.outputs_missing += row.images[0].outputs_missing if row.images else 0
            self.totals.cost += row.cost
        return row

    def _one(self, key: str | None, action: str, attempt: int | None, reason: str | None) -> _Judged:
        if key is None:
            return _Judged(Told(Outcome.INVALID, reason, ReasonClass.INVALID_ROW))
        records, attempts = self._known.records.get(key, ()), self.attempts.get(key, ())
        told = outcome_now(records, attempts)
        if (
            told.outcome is None
            or key in self._left_keys
            or (action == Action.BUY and not _was_tried(attempts, attempt or 1))
        ):
            self._left_keys.add(key)
            told = self._left(attempts)
        images = [self._twins.told(record) for record in records if record.file_name]
        if images and not told.reason:
            # A success may have more to say: of two outputs that were asked for one came.
            told = told._replace(reason=images[0].reason)
        return _Judged(told, images, is_first=action != Action.DUPLICATE, cost=Cost.of(attempts))

    def _left(self, attempts: Collection[Attempt]) -> Told:
        """What is said of a request that no POST of this plan was accepted for; its duplicates say the same."""
        for attempt in attempts:
            if attempt.state is AttemptState.VOID and attempt.plan_id == self._left_over.plan_id:
                reason_class = class_named(attempt.reason_class) or ReasonClass.NOT_ACCEPTED
                return Told(Outcome.PENDING, f"not accepted, try again later: {attempt.reason}", reason_class)
        return self._left_over.told

    def rows_table(self, group: pa.Table, judged: Sequence[_Judged]) -> pa.Table:
        mine = {
            "outcome": [each.told.outcome for each in judged],
            "reason_class": [each.told.reason_class for each in judged],
            "reason": [each.told.reason for each in judged],
            "duplicate_of": group.column("first_row"),
            "files": [[record.file_name for record in each.images] for each in judged],
            "outputs_missing": [each.images[0].outputs_missing if each.images else 0 for each in judged],
        }
        return self._table(self.rows_schema, group, mine)

    def metadata_table(self, group: pa.Table, judged: Sequence[_Judged]) -> pa.Table:
        pairs = [(i, record) for i, each in enumerate(judged) if each.is_first for record in each.images]
        taken = group.take(pa.array([i for i, _ in pairs], pa.int64()))
        mine: dict[str, Any] = {
            name: [getattr(record, name) for _, record in pairs]
            for name, _ in [*_IMAGE_FIELDS, *_RECORD_FIELDS]
            if name not in {"key", "sample", "near_duplicate_of"}
        }
        mine["near_duplicate_of"] = [self._counted_image(record) for _, record in pairs]
        mine["digital_source_type"] = [DIGITAL_SOURCE_TYPE] * len(pairs)
        for name in ("submitted_at", "finished_at"):
            mine[name] = [_microseconds(getattr(record, name)) for _, record in pairs]
        mine["image_url"] = [unsigned_url(url) for url in taken.column("image_url").to_pylist()]
        return self._table(self.metadata_schema, taken, mine)

    def _table(self, schema: pa.Schema, group: pa.Table, mine: dict[str, Any]) -> pa.Table:
        arrays = []
        for column in schema:
            values = mine.get(column.name)
            if values is None:
                values = group.column(self._source_of(column.name))
            arrays.append(values if isinstance(values, pa.ChunkedArray) else pa.array(values, column.type))
        return pa.Table.from_arrays(arrays, schema=schema)

    def _counted_image(self, record: Record) -> str | None:
        """The earlier image that this one nearly equals, if any."""
        earlier = self._near_duplicates.earlier(record)
        self.totals.near_duplicates += earlier is not None
        self.totals.usable += earlier is None and record.suspect is None
        return earlier

    def _source_of(self, name: str) -> str:
        return self._own[name].name if name in self._own else name


def _was_tried(attempts: Collection[Attempt], number: int) -> bool:
    return any(attempt.attempt >= number and attempt.may_have_been_sent for attempt in attempts)


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


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)
