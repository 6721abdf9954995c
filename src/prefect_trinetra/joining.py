"""A plan's rows on one side, what is recorded on the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.costs import Cost
from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.near_duplicates import near_duplicates
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import PLAN_SCHEMA
from prefect_trinetra.reasons import ReasonClass, class_named
from prefect_trinetra.records import records_table
from prefect_trinetra.settled import Places, packed, places_in, rows_at, with_packed_keys
from prefect_trinetra.standing import Action, Told, outcome_now
from prefect_trinetra.twins import twin_suspects

__all__ = ["Joined", "Joining", "LeftOver"]

Flags = npt.NDArray[np.bool_]
_SUCCEEDED: Final = Told(Outcome.SUCCEEDED)


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


@dataclass(frozen=True)
class Joined:
    """Some rows of a plan and what is known of them: `told` row by row, `images` of all of them in order."""

    rows: pa.Table
    told: Sequence[Told]
    images: pa.Table
    counts: Places
    """How many of the images belong to each row; a duplicate's are those of the row that it repeats."""
    is_first: Flags
    """The rows that repeat none: their images are the dataset's, each once."""
    cost: Cost
    """What all POSTs for the first rows cost, whichever run they are of."""
    near_duplicate_of: pa.Array
    """Of each image of the first rows the earlier one that it nearly equals, if any."""

    @cached_property
    def first_images(self) -> tuple[pa.Table, Places]:
        """The images of the first rows, and of each the row that it belongs to."""
        owners = np.repeat(np.arange(len(self.counts)), self.counts)
        return rows_at(self.images, np.flatnonzero(self.is_first[owners])), owners[self.is_first[owners]]

    @cached_property
    def outputs_missing(self) -> Places:
        """Of each row that has images how many it lacks; 0 for others."""
        missing = np.zeros(len(self.counts), np.int64)
        starts = np.cumsum(self.counts) - self.counts
        has_images = self.counts > 0
        missing[has_images] = np.asarray(self.images["outputs_missing"], np.int64)[starts[has_images]]
        return missing


class Joining:
    """Joins a plan with what is known, all of it by columns, and row by row only what is not settled."""

    def __init__(self, plan: pq.ParquetFile, known: KnownState, left_over: LeftOver) -> None:
        self._known = known
        self._left_over = left_over
        self._left_keys: set[str] = set()
        self._images = _Images(known)
        self._codes, self._is_settled, is_first = self._decided(_packed_rows(plan))
        # What looked the keys up is free again: before as much is needed to compare images.
        pa.default_memory_pool().release_unused()
        self._near_duplicates = near_duplicates(self._images.table, self._images.rows(self._codes[is_first]))
        pa.default_memory_pool().release_unused()

    def _decided(self, rows: pa.Table) -> tuple[Places, Flags, Flags]:
        """Of each row its request's place among the images, whether it is settled, and whether it repeats none."""
        codes = places_in(self._images.names, rows["key"])
        is_first = np.asarray(pc.not_equal(rows["action"], Action.DUPLICATE.value), np.bool_)
        return codes, self._settled(codes, rows), is_first

    def _settled(self, codes: Places, rows: pa.Table) -> Flags:
        """The rows of which it is certain that they succeeded."""
        places = np.where(codes < len(self._known.settled), codes, -1)
        # Whoever wanted to buy it again wants more than the one attempt that settled it.
        is_left = np.asarray(pc.equal(rows["action"], Action.BUY.value), np.bool_) & (places >= 0)
        is_left &= ~self._known.settled.ordered(places, rows["attempt"])
        return (places >= 0) & ~np.isin(places, places[is_left])

    def groups(self, plan: pq.ParquetFile) -> Iterator[Joined]:
        """The rows of the plan, a row group at a time."""
        row, image = 0, 0
        for number in range(plan.metadata.num_row_groups):
            rows = plan.read_row_group(number)
            rows = rows.filter(pc.greater(rows["row"], 0))
            mine = slice(row, row + rows.num_rows)
            codes = self._codes[mine]
            is_first = np.asarray(pc.not_equal(rows["action"], Action.DUPLICATE.value), np.bool_)
            counts, images = self._images.counts(codes), rows_at(self._images.table, self._images.rows(codes))
            stored = int(counts[is_first].sum())
            yield Joined(
                rows,
                self._told(rows, self._is_settled[mine], counts, images["reason"]),
                images,
                counts,
                is_first,
                self._cost(rows, codes, is_first),
                self._near_duplicates.slice(image, stored),
            )
            row, image = row + rows.num_rows, image + stored

    def _told(self, rows: pa.Table, is_settled: Flags, counts: Places, reasons: pa.ChunkedArray) -> list[Told]:
        told = [_SUCCEEDED] * rows.num_rows
        others = np.flatnonzero(~is_settled)
        columns = (rows_at(rows, others).column(name).to_pylist() for name in ("key", "action", "attempt", "reason"))
        for at, values in zip(others.tolist(), zip(*columns, strict=True), strict=True):
            told[at] = self._one(*values)
        if reasons.null_count < len(reasons):
            # A success may have more to say: of two outputs that were asked for one came.
            starts = np.cumsum(counts) - counts
            for at in np.flatnonzero(counts).tolist():
                if not told[at].reason:
                    told[at] = told[at]._replace(reason=reasons[int(starts[at])].as_py())
        return told

    def _one(self, key: str | None, action: str, attempt: int | None, reason: str | None) -> Told:
        if key is None:
            return Told(Outcome.INVALID, reason, ReasonClass.INVALID_ROW)
        attempts = self._known.unsettled.get(key, ())
        told = outcome_now(self._known.unsettled_records.get(key, ()), attempts)
        if (
            told.outcome is None
            or key in self._left_keys
            or (action == Action.BUY and not _was_tried(attempts, attempt or 1))
        ):
            self._left_keys.add(key)
            return self._left(attempts)
        return told

    def _left(self, attempts: Collection[Attempt]) -> Told:
        """What is said of a request that no POST of this plan was accepted for; its duplicates say the same."""
        for attempt in attempts:
            if attempt.state is AttemptState.VOID and attempt.plan_id == self._left_over.plan_id:
                reason_class = class_named(attempt.reason_class) or ReasonClass.NOT_ACCEPTED
                return Told(Outcome.PENDING, f"not accepted, try again later: {attempt.reason}", reason_class)
        return self._left_over.told

    def _cost(self, rows: pa.Table, codes: Places, is_first: Flags) -> Cost:
        is_settled = (codes >= 0) & (codes < len(self._known.settled))
        settled = self._known.settled.cost(codes[is_first & is_settled])
        others = rows_at(rows, np.flatnonzero(is_first & ~is_settled)).column("key").to_pylist()
        return sum((Cost.of(self._known.unsettled.get(key, ())) for key in others), Cost(*settled))


class _Images:
    """All records of all requests: those of settled ones where they are, and behind them those of the others."""

    def __init__(self, known: KnownState) -> None:
        settled = known.settled
        others = list(dict.fromkeys([*known.unsettled, *known.unsettled_records]))
        told = [known.unsettled_records.get(key, []) for key in others]
        more = records_table(record for records in told for record in records).drop_columns("key")
        self.names = pa.chunked_array([*settled.keys.chunks, packed(others)])
        here = settled.records.num_rows
        table = pa.concat_tables(
            [settled.records, more.select(settled.records.column_names).cast(settled.records.schema)]
        ).unify_dictionaries()
        order = np.concatenate([settled.order, np.arange(here, table.num_rows)])
        ends = settled.offsets[-1] + np.cumsum([len(each) for each in told], dtype=np.int64)
        # A record without a file tells of no image.
        is_stored = np.asarray(pc.is_valid(table["file_name"]), np.bool_)[order]
        self._order = order[is_stored]
        self._offsets = np.concatenate([[0], np.cumsum(is_stored)])[np.concatenate([settled.offsets, ends])]
        at = table.schema.get_field_index("suspect")
        self.table = table.set_column(at, "suspect", twin_suspects(table, self._order))

    def counts(self, codes: Places) -> Places:
        """How many the requests at these places have; none where the place is below 0."""
        return np.where(codes < 0, 0, self._offsets[codes + 1] - self._offsets[codes])

    def rows(self, codes: Places) -> Places:
        """The rows of these requests' images in the table, in order."""
        counts = self.counts(codes)
        starts = np.repeat(self._offsets[codes], counts)
        rows: Places = self._order[starts + np.arange(len(starts)) - np.repeat(np.cumsum(counts) - counts, counts)]
        return rows


def _packed_rows(plan: pq.ParquetFile) -> pa.Table:
    """What decides about all rows at once, with keys as bytes."""
    columns = ["row", "key", "action", "attempt"]
    empty = pa.schema([PLAN_SCHEMA.field(name) for name in columns]).empty_table()
    batches = plan.iter_batches(columns=columns, use_threads=False)
    tables = map(with_packed_keys, chain([empty], (pa.Table.from_batches([batch]) for batch in batches)))
    # Jobs of an earlier manifest's rows have a number below 0: they are no rows of this one.
    return pa.concat_tables([table.filter(pc.greater(table["row"], 0)).drop_columns("row") for table in tables])


def _was_tried(attempts: Collection[Attempt], number: int) -> bool:
    return any(attempt.attempt >= number and attempt.may_have_been_sent for attempt in attempts)
