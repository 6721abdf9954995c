"""Requests about which nothing is left to decide, as columns: a million of them as objects would take gigabytes.

A request is settled where all that is known of it is one POST that was accepted and succeeded, and records of images
that succeeded, each index once. Nearly all requests of a finished dataset are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prefect_trinetra.ledger import ATTEMPT_SCHEMA, Attempt, AttemptState, read_attempts
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.records import RECORD_SCHEMA, Record, read_record_rows

__all__ = ["Detail", "Places", "Settled", "places_in", "settle"]

Places = npt.NDArray[np.int64]

# Rows that are objects at once.
ROWS_AT_ONCE: Final = 5_000
# What an Attempt can't do without, and what tells its cost.
_LEDGER: Final = [each.name for each in ATTEMPT_SCHEMA if each.name not in {"request", "reason", "reason_class"}]
_TIMES: Final = {"answered_at", "finished_at", "job_id"}


class Detail(Enum):
    """How much is kept of settled requests: of all others always everything."""

    COST = "cost"
    """That they succeeded, and what they cost; nothing of their images."""
    IMAGES = "images"
    """The same with their jobs and images."""
    EVERYTHING = "everything"

    @property
    def attempts(self) -> pa.Schema:
        """The columns of the ledger that it takes. `request` is the largest of them."""
        match self:
            case Detail.COST:
                return pa.schema([each for each in ATTEMPT_SCHEMA if each.name in _LEDGER and each.name not in _TIMES])
            case Detail.IMAGES | Detail.EVERYTHING:
                return ATTEMPT_SCHEMA

    @property
    def records(self) -> pa.Schema:
        """The columns of the records that it takes."""
        if self is Detail.COST:
            return pa.schema([RECORD_SCHEMA.field(name) for name in ("key", "index", "outcome")])
        return RECORD_SCHEMA


@dataclass(frozen=True)
class Settled:
    """One row of `attempts` a request, in no order; `records` in the order of their requests, and without keys.

    Those of the request at place p are `records` from `offsets[p]` to `offsets[p + 1]`.
    """

    attempts: pa.Table
    records: pa.Table
    offsets: Places

    @classmethod
    def none(cls) -> Settled:
        return cls(ATTEMPT_SCHEMA.empty_table(), RECORD_SCHEMA.empty_table().drop_columns("key"), np.zeros(1, np.int64))

    def __len__(self) -> int:
        return int(self.attempts.num_rows)

    @property
    def keys(self) -> pa.ChunkedArray:
        return self.attempts["key"]

    def places(self, keys: pa.ChunkedArray) -> Places:
        """Where the requests of these keys are; -1 for those that are not settled."""
        return places_in(self.keys, keys)

    def ordered(self, places: Places, numbers: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
        """Of each place (-1: of none) whether that request is settled by attempt `numbers` or a later one."""
        if not len(self):
            return np.zeros(len(places), np.bool_)
        latest = _numbers(self.attempts["attempt"])[np.maximum(places, 0)]
        return (places >= 0) & (latest >= _numbers(pc.fill_null(numbers, 1)))

    @property
    def images(self) -> int:
        """How many are stored."""
        return int(self.records.num_rows - self.records["file_name"].null_count)

    def of_run(self, run_id: str) -> Settled:
        """The requests whose POST one run made; without their records."""
        return self._only(pc.equal(self.attempts["run_id"], run_id))

    def since(self, seconds: float) -> Settled:
        """The requests whose POST was begun at that time (seconds since the epoch) or later; without their records."""
        return self._only(pc.greater_equal(self.attempts["begun_at"], seconds))

    def _only(self, chosen: pa.ChunkedArray) -> Settled:
        attempts = self.attempts.filter(chosen)
        return Settled(attempts, self.records.slice(0, 0), np.zeros(attempts.num_rows + 1, np.int64))

    @property
    def spent(self) -> float:
        """What their POSTs count as, in credits: what was charged where that is known, else the bound."""
        attempts = self.attempts
        return float(pc.sum(pc.coalesce(attempts["credits_charged"], attempts["bound"]), min_count=0).as_py())

    def cost(self, places: Places) -> tuple[int, float, float, float]:
        """Of the requests at these places: POSTs, credits charged, credits at most, and their bounds."""
        some = self.attempts.select(["credits_charged", "bound"]).take(pa.array(places))
        charged, bound = (np.asarray(column, np.float64) for column in some.columns)
        known = np.nan_to_num(charged)
        return (
            len(places),
            float(known.sum()),
            float(np.where(np.isnan(charged), bound, charged).sum()),
            float(bound.sum()),
        )

    def ledger(self) -> Iterator[Attempt]:
        """Each POST."""
        for batch in self.attempts.to_batches(ROWS_AT_ONCE):
            yield from read_attempts(pa.Table.from_batches([batch]))

    def recorded(self) -> Iterator[Record]:
        """Each record, in the order of their requests."""
        owners = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        for start in range(0, self.records.num_rows, ROWS_AT_ONCE):
            some = self.records.slice(start, ROWS_AT_ONCE)
            yield from read_record_rows(
                some.append_column("key", self.keys.take(pa.array(owners[start:][:ROWS_AT_ONCE])))
            )


def places_in(names: pa.ChunkedArray, keys: pa.ChunkedArray) -> Places:
    """Where each of the keys is among the names; -1 for those that are not among them."""
    return _numbers(pc.fill_null(pc.index_in(keys, value_set=names), -1))


def settle(attempts: pa.Table, records: pa.Table, unsettled: Collection[str]) -> tuple[Settled, pa.Array]:
    """The settled requests of all parts, and the keys of the others; those of `unsettled` are none in any case."""
    keys = pc.dictionary_encode(pa.chunked_array([*attempts["key"].chunks, *records["key"].chunks], pa.string()))
    keys = keys.combine_chunks()
    codes, names = _numbers(keys.indices), keys.dictionary
    ordered, recorded = codes[: attempts.num_rows], codes[attempts.num_rows :]
    is_other = np.bincount(ordered, minlength=len(names)) != 1
    is_other |= np.bincount(recorded, minlength=len(names)) == 0
    accepted = _is(attempts["state"], AttemptState.ACCEPTED) & _is(attempts["outcome"], Outcome.SUCCEEDED)
    is_other[ordered[~accepted]] = True
    is_other[recorded[~_is(records["outcome"], Outcome.SUCCEEDED)]] = True
    is_other[_doubles(recorded, _numbers(records["index"]))] = True
    is_other[_flags(pc.is_in(names, value_set=pa.array(unsettled, pa.string())))] = True
    mine = ~is_other[ordered]
    place_of = np.full(len(names), -1, np.int64)
    place_of[ordered[mine]] = np.arange(mine.sum())
    others = names.filter(pa.array(is_other))
    return _settled(attempts.filter(pa.array(mine)), records, place_of[recorded]), others


def _settled(attempts: pa.Table, records: pa.Table, places: Places) -> Settled:
    """`places` tells each record's request; -1 for that of none of these."""
    order = np.lexsort((_numbers(records["index"]), places))
    order = order[np.searchsorted(places[order], 0) :]
    offsets = np.searchsorted(places[order], np.arange(attempts.num_rows + 1))
    return Settled(attempts, records.drop_columns("key").take(pa.array(order)), offsets.astype(np.int64))


def _doubles(recorded: Places, indexes: Places) -> Places:
    """The requests of which one image is recorded more than once."""
    order = np.lexsort((indexes, recorded))
    request, index = recorded[order], indexes[order]
    doubles: Places = request[1:][(request[1:] == request[:-1]) & (index[1:] == index[:-1])]
    return doubles


def _is(column: pa.ChunkedArray, value: str) -> npt.NDArray[np.bool_]:
    return _flags(pc.equal(column, value))


def _flags(column: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, False), np.bool_)  # noqa: FBT003  # pyarrow's own signature


def _numbers(column: Any) -> Places:
    return np.asarray(column, np.int64)
