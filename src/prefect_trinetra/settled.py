"""Requests about which nothing is left to decide, as columns: a million of them as objects would take gigabytes.

A request is settled where all that is known of it is one POST that was accepted and succeeded, and records of images
that succeeded, each index once. Nearly all requests of a finished dataset are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
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

__all__ = ["Detail", "Places", "Settled", "packed", "places_in", "rows_at", "settle", "with_packed_keys"]

Places = npt.NDArray[np.int64]

# Rows that are objects at once.
ROWS_AT_ONCE: Final = 5_000
KEY_BYTES: Final = 32
WORD_BYTES: Final = 8
NO_KEY: Final = "00" * KEY_BYTES
# What an Attempt can't do without, and what tells its cost.
_LEDGER: Final = [each.name for each in ATTEMPT_SCHEMA if each.name not in {"request", "reason", "reason_class"}]
_NOT_OF_IMAGES: Final = {"attempt", "sample", "reason_class", "request"}
_ENDS: Final = {"answered_at", "finished_at"}


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
                return pa.schema([each for each in ATTEMPT_SCHEMA if each.name in {*_LEDGER} - _ENDS - {"job_id"}])
            case Detail.IMAGES:
                return pa.schema([each for each in ATTEMPT_SCHEMA if each.name in {*_LEDGER, "request"} - _ENDS])
            case Detail.EVERYTHING:
                return ATTEMPT_SCHEMA

    @property
    def records(self) -> pa.Schema:
        """The columns of the records that it takes."""
        match self:
            case Detail.COST:
                return pa.schema([RECORD_SCHEMA.field(name) for name in ("key", "index", "outcome")])
            case Detail.IMAGES:
                return pa.schema([each for each in RECORD_SCHEMA if each.name not in _NOT_OF_IMAGES])
            case Detail.EVERYTHING:
                return RECORD_SCHEMA


@dataclass(frozen=True)
class Settled:
    """One row of `attempts` a request, in no order; `records` without keys, in no order, and some that are of others.

    Those of the request at place p are the rows `order[offsets[p]:offsets[p + 1]]` of `records`.
    """

    attempts: pa.Table
    records: pa.Table
    order: Places
    offsets: Places

    @classmethod
    def none(cls) -> Settled:
        attempts, records = with_packed_keys(ATTEMPT_SCHEMA.empty_table()), RECORD_SCHEMA.empty_table()
        return cls(attempts, records.drop_columns("key"), np.zeros(0, np.int64), np.zeros(1, np.int64))

    def __len__(self) -> int:
        return int(self.attempts.num_rows)

    @property
    def keys(self) -> pa.ChunkedArray:
        """As bytes."""
        return self.attempts["key"]

    def places(self, keys: pa.ChunkedArray) -> Places:
        """Where the requests of these keys, told by their digits, are; -1 for those that are not settled."""
        return places_in(self.keys, pa.chunked_array([packed(keys.to_pylist())]))

    def ordered(self, places: Places, numbers: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
        """Of each place (-1: of none) whether that request is settled by attempt `numbers` or a later one."""
        if not len(self):
            return np.zeros(len(places), np.bool_)
        latest = _numbers(self.attempts["attempt"])[np.maximum(places, 0)]
        return (places >= 0) & (latest >= _numbers(pc.fill_null(numbers, 1)))

    @property
    def images(self) -> int:
        """How many are stored."""
        return int(_flags(pc.is_valid(self.records["file_name"]))[self.order].sum())

    def of_run(self, run_id: str) -> Settled:
        """The requests whose POST one run made; without their records."""
        return self._only(pc.equal(self.attempts["run_id"], run_id))

    def since(self, seconds: float) -> Settled:
        """The requests whose POST was begun at that time (seconds since the epoch) or later; without their records."""
        return self._only(pc.greater_equal(self.attempts["begun_at"], seconds))

    def _only(self, chosen: pa.ChunkedArray) -> Settled:
        attempts = self.attempts.filter(chosen)
        return Settled(attempts, self.records, self.order[:0], np.zeros(attempts.num_rows + 1, np.int64))

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
            table = pa.Table.from_batches([batch])
            yield from read_attempts(table.set_column(0, "key", _unpacked(table["key"])))

    def recorded(self) -> Iterator[Record]:
        """Each record, in the order of their requests."""
        owners = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        for start in range(0, len(self.order), ROWS_AT_ONCE):
            some = slice(start, start + ROWS_AT_ONCE)
            keys = rows_at(self.attempts.select(["key"]), owners[some])["key"]
            yield from read_record_rows(rows_at(self.records, self.order[some]).append_column("key", _unpacked(keys)))


def rows_at(table: pa.Table, places: Places) -> pa.Table:
    """The rows at these places. Neighbours are not copied, nor is any column copied whole, whatever its chunks are."""
    if not len(places):
        return table.slice(0, 0)
    least = int(places.min())
    near, at = table.slice(least, int(places.max()) - least + 1), places - least
    if len(at) == near.num_rows and bool((np.diff(at) == 1).all()):
        return near
    batches = near.to_batches()
    ends = np.cumsum([batch.num_rows for batch in batches])
    which = np.searchsorted(ends, at, side="right")
    order = np.argsort(which, kind="stable")
    pieces = [
        batches[number].take(pa.array(at[which == number] - (ends[number] - batches[number].num_rows)))
        for number in np.unique(which).tolist()
    ]
    taken = pa.Table.from_batches(pieces).combine_chunks()
    return taken if len(pieces) == 1 else taken.take(pa.array(np.argsort(order)))


def packed(keys: Sequence[str | None]) -> pa.Array:
    """Keys as the bytes that they are the hexadecimal digits of: half the memory. Raises ValueError for others."""
    is_none = np.fromiter((key is None for key in keys), np.bool_, len(keys))
    data = bytes.fromhex("".join([key or NO_KEY for key in keys]))
    if len(data) != KEY_BYTES * len(keys):
        raise ValueError("a key does not have 64 digits")
    array = pa.Array.from_buffers(pa.binary(KEY_BYTES), len(keys), [None, pa.py_buffer(data)])
    return pc.if_else(pa.array(is_none), pa.scalar(None, array.type), array) if is_none.any() else array


def with_packed_keys(table: pa.Table) -> pa.Table:
    """The same rows, their keys as bytes."""
    return table.set_column(table.schema.get_field_index("key"), "key", packed(table["key"].to_pylist()))


def _unpacked(keys: pa.ChunkedArray) -> pa.Array:
    return pa.array([key.hex() for key in keys.to_pylist()], pa.string())


def places_in(names: pa.ChunkedArray, keys: pa.ChunkedArray) -> Places:
    """Where each of the keys is among the names, all of them as bytes; -1 for those that are not among them.

    Found by their first eight bytes, in a sorted list: a table of all of them, as Arrow's own search makes, takes ten
    times the memory.
    """
    beginnings = _words(names, 0)
    order = np.argsort(beginnings)
    ordered = beginnings[order]
    if bool((ordered[1:] == ordered[:-1]).any()):  # of two in 2^64, or names that are there twice
        return _numbers(pc.fill_null(pc.index_in(keys, value_set=names), -1))
    wanted = _words(keys, 0)
    at = np.minimum(np.searchsorted(ordered, wanted), max(len(order) - 1, 0))
    is_there = np.asarray(pc.is_valid(keys), np.bool_) & bool(len(order))
    is_there[is_there] = ordered[at[is_there]] == wanted[is_there]
    places = np.full(len(wanted), -1, np.int64)
    places[is_there] = order[at[is_there]]
    for number in range(1, KEY_BYTES // WORD_BYTES):
        found = np.flatnonzero(places >= 0)
        differs = _words(names, number)[places[found]] != _words(keys, number)[found]
        places[found[differs]] = -1
    return places


def _words(keys: pa.ChunkedArray, number: int) -> npt.NDArray[np.uint64]:
    """Eight bytes of each key, as a number; anything where there is none."""
    words = [np.zeros(0, np.uint64)]
    for chunk in keys.chunks:
        if len(chunk):
            values = (chunk.offset + len(chunk)) * KEY_BYTES // WORD_BYTES
            data = np.frombuffer(chunk.buffers()[1], np.uint64, values).reshape(-1, KEY_BYTES // WORD_BYTES)
            words.append(data[chunk.offset :, number])
    return np.concatenate(words)


def settle(attempts: pa.Table, records: pa.Table, unsettled: Collection[str]) -> tuple[Settled, pa.Array]:
    """The settled requests of all parts, and the keys of the others; those of `unsettled` are none in any case."""
    keys = pc.dictionary_encode(pa.chunked_array([*attempts["key"].chunks, *records["key"].chunks])).combine_chunks()
    codes, names = _numbers(keys.indices), keys.dictionary
    ordered, recorded = codes[: attempts.num_rows], codes[attempts.num_rows :]
    is_other = np.bincount(ordered, minlength=len(names)) != 1
    is_other |= np.bincount(recorded, minlength=len(names)) == 0
    accepted = _is(attempts["state"], AttemptState.ACCEPTED) & _is(attempts["outcome"], Outcome.SUCCEEDED)
    is_other[ordered[~accepted]] = True
    is_other[recorded[~_is(records["outcome"], Outcome.SUCCEEDED)]] = True
    is_other[_doubles(recorded, _numbers(records["index"]))] = True
    is_other[_flags(pc.is_in(names, value_set=packed([*unsettled])))] = True
    mine = np.flatnonzero(~is_other[ordered])
    place_of = np.full(len(names), -1, np.int64)
    place_of[ordered[mine]] = np.arange(len(mine))
    places = place_of[recorded]
    order = np.lexsort((_numbers(records["index"]), places))
    order = order[np.searchsorted(places[order], 0) :]
    offsets = np.searchsorted(places[order], np.arange(len(mine) + 1)).astype(np.int64)
    if len(mine) < attempts.num_rows:
        attempts = attempts.filter(pa.array(~is_other[ordered]))
    others = _unpacked(names.filter(pa.array(is_other)))
    del keys, names
    pa.default_memory_pool().release_unused()
    return Settled(attempts, records.drop_columns("key"), order, offsets), others


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
