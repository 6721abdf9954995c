"""What a dataset already knows: its ledger, its records, and what open journals add to both."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from prefect_trinetra.errors import DatasetError
from prefect_trinetra.journal import JOURNAL_FOLDER, JournalName, Replay, read_segment, replay
from prefect_trinetra.ledger import ATTEMPT_SCHEMA, Attempt, merge_attempts, read_attempts
from prefect_trinetra.parts import (
    ATTEMPTS_FOLDER,
    FOLDED,
    PART_DIGITS,
    RECORDS_FOLDER,
    Parts,
    read_files,
    side_by_side,
    store_parts,
    until_none_vanishes,
)
from prefect_trinetra.records import RECORD_SCHEMA, Record, merge_records, read_record_rows
from prefect_trinetra.settled import Detail, Settled, settle, with_packed_keys
from prefect_trinetra.storage import Storage

__all__ = ["KnownState", "load_known", "load_shard", "settle_journals"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownState:
    """Everything recorded about a dataset's requests, merged, at one moment.

    The many that are settled are columns, all others objects: attempts by key and number, records by key.
    """

    unsettled_attempts: dict[tuple[str, int], list[Attempt]] = field(default_factory=dict)
    unsettled_records: dict[str, list[Record]] = field(default_factory=dict)
    open_journals: frozenset[JournalName] = frozenset()
    torn_segments: tuple[str, ...] = ()
    settled: Settled = field(default_factory=Settled.none)

    @property
    def is_empty(self) -> bool:
        return not (self.unsettled_attempts or self.unsettled_records or len(self.settled))

    @cached_property
    def unsettled(self) -> dict[str, list[Attempt]]:
        """The attempts of each request that is not settled."""
        attempts: dict[str, list[Attempt]] = {}
        for attempt in chain.from_iterable(self.unsettled_attempts.values()):
            attempts.setdefault(attempt.key, []).append(attempt)
        return attempts

    def ledger(self) -> Iterator[Attempt]:
        """Every POST, each once."""
        yield from self.settled.ledger()
        yield from chain.from_iterable(self.unsettled_attempts.values())

    def recorded(self) -> Iterator[Record]:
        """Every record, those of one request together."""
        yield from self.settled.recorded()
        yield from chain.from_iterable(self.unsettled_records.values())

    def attempts_by_post(self) -> dict[tuple[str, int], list[Attempt]]:
        """The whole ledger by key and number, as objects."""
        settled = {(each.key, each.attempt): [each] for each in self.settled.ledger()}
        return settled | self.unsettled_attempts

    def records_by_key(self) -> dict[str, list[Record]]:
        """All records by key, as objects."""
        records: dict[str, list[Record]] = {}
        for record in self.recorded():
            records.setdefault(record.key, []).append(record)
        return records

    def ledger_of(self, run_id: str) -> Iterator[Attempt]:
        """The POSTs of one run."""
        yield from self.settled.of_run(run_id).ledger()
        others = chain.from_iterable(self.unsettled_attempts.values())
        yield from (attempt for attempt in others if attempt.run_id == run_id)

    def ledger_since(self, seconds: float) -> Iterator[Attempt]:
        """The POSTs begun at that time (seconds since the epoch) or later."""
        yield from self.settled.since(seconds).ledger()
        others = chain.from_iterable(self.unsettled_attempts.values())
        yield from (attempt for attempt in others if attempt.begun_at >= seconds)

    def spent_by(self, run_id: str) -> float:
        """Credits that the POSTs of one run count as."""
        others = chain.from_iterable(self.unsettled_attempts.values())
        return self.settled.of_run(run_id).spent + sum(each.spent for each in others if each.run_id == run_id)

    @property
    def images(self) -> int:
        """Images that are stored, whichever manifest asked for them."""
        others = chain.from_iterable(self.unsettled_records.values())
        return self.settled.images + sum(bool(record.file_name) for record in others)


async def load_known(storage: Storage, detail: Detail = Detail.EVERYTHING, *, run_id: str | None = None) -> KnownState:
    """Reads and merges all parts and journals; writes nothing.

    `detail` is how much is kept of settled requests; with a `run_id` the ledger tells jobs and what they were asked for
    of that run alone.
    """
    # In this order: a writer that closes meanwhile stores its parts before it deletes its journal.
    journals = await _load_journals(storage)
    logs = journals.logs.values()
    mentioned = {told.key for log in logs for told in log.attempts} | {told.key for log in logs for told in log.records}

    async def look() -> tuple[Settled, list[Attempt], list[Record]]:
        ledger, records = await Parts.of(storage, ATTEMPTS_FOLDER), await Parts.of(storage, RECORDS_FOLDER)
        settled, others = await asyncio.to_thread(
            settle,
            await ledger.columns(detail.attempts, partial(_without_orders, run_id)),
            await records.columns(detail.records, with_packed_keys),
            mentioned,
        )
        if not others:
            return settled, [], []
        return settled, *await _of_keys(ledger, records, others)

    settled, attempts, told = await until_none_vanishes(look, storage.url)
    return KnownState(
        merge_attempts([*attempts, *(attempt for log in logs for attempt in log.attempts)]),
        merge_records([*told, *(record for log in logs for record in log.records)]),
        open_journals=frozenset(journals.logs),
        torn_segments=tuple(journals.torn),
        settled=settled,
    )


def _without_orders(run_id: str | None, table: pa.Table) -> pa.Table:
    """The attempts with keys as bytes; those of other runs without what tells orders apart, which is most of them."""
    table = with_packed_keys(table)
    if run_id is None:
        return table
    is_other = np.asarray(pc.not_equal(table["run_id"], run_id), np.bool_)
    mine = pa.array(np.arange(table.num_rows), mask=is_other)
    for name in {"request", "job_id"}.intersection(table.column_names):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].take(mine))
    return table


async def _of_keys(ledger: Parts, records: Parts, keys: pa.Array) -> tuple[list[Attempt], list[Record]]:
    def wanted(group: pa.Table) -> pa.Array:
        return pc.is_in(group["key"], value_set=keys)

    return (
        list(read_attempts(await ledger.rows(ATTEMPT_SCHEMA, wanted))),
        list(read_record_rows(await records.rows(RECORD_SCHEMA, wanted))),
    )


async def load_shard(storage: Storage, plan_id: str, shard: str, keys: Collection[str]) -> KnownState:
    """The same for the requests of one shard of a plan alone, from its parts: once its journals are settled."""
    stems = JournalName(plan_id, shard, "").stem, f"{plan_id}-{FOLDED}-"

    async def look() -> tuple[list[Attempt], list[Record]]:
        ledger = await Parts.of(storage, ATTEMPTS_FOLDER, *stems)
        records = await Parts.of(storage, RECORDS_FOLDER, *stems)
        return await _of_keys(ledger, records, pa.array(keys, pa.string()))

    attempts, told = await until_none_vanishes(look, storage.url)
    return KnownState(merge_attempts(attempts), merge_records(told))


async def settle_journals(storage: Storage, folder: str = JOURNAL_FOLDER) -> int:
    """Turns journals below `folder` that dead writers left into parts of `attempts/` and `records/`; how many.

    Harmless when repeated or broken off, and where a writer only seemed dead: the part's name tells its content, so
    that it replaces none of the writer's own, and only the segments that are in it are deleted, last.
    """
    journals = await _load_journals(storage, folder)
    for path in journals.torn:
        logger.warning("journal segment %s is torn: it was never durable, so nothing rests on it", path)
    for name, told in journals.logs.items():
        log = await _with_images_that_are_there(storage, told)
        digest = hashlib.sha256(orjson.dumps(log)).hexdigest()[:PART_DIGITS]
        await store_parts(storage, f"{name.stem}-{digest}", log.attempts, log.records)
        await asyncio.gather(*(storage.delete(path) for path in journals.paths[name]))
    return len(journals.logs)


async def _with_images_that_are_there(storage: Storage, log: Replay) -> Replay:
    """The log without successes whose image a power loss took: their jobs are out again, to be collected."""
    stored = [record for record in log.records if record.file_name is not None]
    intact = await side_by_side(
        [partial(storage.intact, record.file_name or "", record.sha256 or "") for record in stored]
    )
    lost = {(record.key, record.attempt) for record, is_there in zip(stored, intact, strict=True) if not is_there}
    return Replay(
        [replace(each, outcome=None) if (each.key, each.attempt) in lost else each for each in log.attempts],
        [each for each in log.records if (each.key, each.attempt) not in lost],
    )


@dataclass
class _Journals:
    logs: dict[JournalName, Replay]
    paths: dict[JournalName, list[str]]
    torn: list[str]


async def _load_journals(storage: Storage, folder: str = JOURNAL_FOLDER) -> _Journals:
    paths: dict[JournalName, list[str]] = {}
    for path in await storage.list(folder):
        if name := JournalName.of_segment(path):
            paths.setdefault(name, []).append(path)
    journals = _Journals({}, paths, [])
    for name, segments in paths.items():
        journals.logs[name] = await _load_journal(storage, sorted(segments), journals.torn)
    return journals


async def _load_journal(storage: Storage, paths: list[str], torn: list[str]) -> Replay:
    whole = []
    mine: list[str] = []
    for path, data in zip(paths, await read_files(storage, paths), strict=True):
        entries = read_segment(data) if data is not None else None
        if entries is None:
            mine.extend([path] if data is not None else [])
            continue
        if mine:
            # The next segment is begun only when this one is durable, so POSTs rested on it.
            raise DatasetError(
                f"{storage.url}/{mine[0]} is damaged, and it told of POSTs that may have been paid for: restore it "
                "from a copy, or delete it, knowing that what it alone told of may be bought again"
            )
        whole.append(entries)
    torn.extend(mine)
    return replay(whole)
