"""What a dataset already knows: its ledger, its records, and what open journals add to both."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from prefect_trinetra.errors import DatasetError
from prefect_trinetra.journal import JOURNAL_FOLDER, JournalName, Replay, read_segment, replay
from prefect_trinetra.ledger import Attempt, attempts_table, merge_attempts, read_attempts
from prefect_trinetra.records import Record, merge_records, read_record_rows, records_table
from prefect_trinetra.storage import Storage

__all__ = [
    "ATTEMPTS_FOLDER",
    "RECORDS_FOLDER",
    "KnownState",
    "load_known",
    "load_shard",
    "settle_journals",
    "store_parts",
    "table_bytes",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS_FOLDER: Final = "attempts"
RECORDS_FOLDER: Final = "records"
# Small files side by side: enough to hide an object store's latency, few enough for its connection pool.
CALLS_AT_ONCE: Final = 32
PART_DIGITS: Final = 12


@dataclass(frozen=True)
class KnownState:
    """Everything recorded about a dataset's requests, merged, at one moment."""

    attempts: dict[tuple[str, int], list[Attempt]] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    open_journals: frozenset[JournalName] = frozenset()
    torn_segments: tuple[str, ...] = ()

    def ledger(self) -> Iterable[Attempt]:
        """Every POST, each once."""
        return (attempt for told in self.attempts.values() for attempt in told)

    def spent_by(self, run_id: str) -> float:
        """Credits that the POSTs of one run count as."""
        return sum(attempt.spent for attempt in self.ledger() if attempt.run_id == run_id)


async def load_known(storage: Storage) -> KnownState:
    """Reads and merges all parts and journals; writes nothing."""
    # In this order: a writer that closes meanwhile stores its parts before it deletes its journal.
    journals = await _load_journals(storage)
    parts = await _load_parts(storage)
    return KnownState(
        attempts=merge_attempts([*parts[0], *(attempt for log in journals.logs.values() for attempt in log.attempts)]),
        records=merge_records([*parts[1], *(record for log in journals.logs.values() for record in log.records)]),
        open_journals=frozenset(journals.logs),
        torn_segments=tuple(journals.torn),
    )


async def load_shard(storage: Storage, plan_id: str, shard: str) -> KnownState:
    """The same for one shard of a plan alone, from its parts: to be called once its journals are settled."""
    stem = JournalName(plan_id, shard, "").stem

    async def mine(folder: str) -> list[str]:
        return [path for path in await storage.list(folder) if path.startswith(f"{folder}/{stem}")]

    return KnownState(
        attempts=merge_attempts(await _read_parquets(storage, await mine(ATTEMPTS_FOLDER), read_attempts)),
        records=merge_records(await _read_parquets(storage, await mine(RECORDS_FOLDER), read_record_rows)),
    )


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
    intact = await _side_by_side(
        [partial(storage.intact, record.file_name or "", record.sha256 or "") for record in stored]
    )
    lost = {(record.key, record.attempt) for record, is_there in zip(stored, intact, strict=True) if not is_there}
    return Replay(
        [replace(each, outcome=None) if (each.key, each.attempt) in lost else each for each in log.attempts],
        [each for each in log.records if (each.key, each.attempt) not in lost],
    )


async def store_parts(storage: Storage, stem: str, attempts: list[Attempt], records: list[Record]) -> None:
    """Writes attempts, then records, each as one Parquet file of that name."""
    if attempts:
        data = await asyncio.to_thread(lambda: table_bytes(attempts_table(attempts)))
        await storage.write(f"{ATTEMPTS_FOLDER}/{stem}.parquet", data, durable=True)
    if records:
        data = await asyncio.to_thread(lambda: table_bytes(records_table(records)))
        await storage.write(f"{RECORDS_FOLDER}/{stem}.parquet", data, durable=True)


def table_bytes(table: pa.Table) -> bytes:
    """A table as a Parquet file, zstd-compressed."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


async def _load_parts(storage: Storage) -> tuple[list[Attempt], list[Record]]:
    return (
        await _read_parquets(storage, await storage.list(ATTEMPTS_FOLDER), read_attempts),
        await _read_parquets(storage, await storage.list(RECORDS_FOLDER), read_record_rows),
    )


async def _read_parquets(storage: Storage, paths: Sequence[str], rows: Callable[[pa.Table], Iterable[T]]) -> list[T]:
    found: list[T] = []
    for path, data in zip(paths, await _read_all(storage, paths), strict=True):
        if data is not None and path.endswith(".parquet"):
            found.extend(await asyncio.to_thread(_parse_parquet, path, data, rows))
    return found


def _parse_parquet(path: str, data: bytes, rows: Callable[[pa.Table], Iterable[T]]) -> list[T]:
    try:
        return list(rows(pq.read_table(io.BytesIO(data))))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path} can't be read as a part of this dataset ({error}): restore it from a copy"
        ) from error


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
    for path, data in zip(paths, await _read_all(storage, paths), strict=True):
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


async def _read_all(storage: Storage, paths: Sequence[str]) -> list[bytes | None]:
    """The files' contents in order; None for one that is not there, as when a closing writer deleted it meanwhile."""

    async def read(path: str) -> bytes | None:
        try:
            return await storage.read(path)
        except FileNotFoundError:
            return None

    return await _side_by_side([partial(read, path) for path in paths])


async def _side_by_side(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """The results in order; only so many at once."""
    gate = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await call()

    return await asyncio.gather(*(one(call) for call in calls))
