"""The write-ahead log of paid work: immutable, checksummed segments that one writer leaves behind.

    journal/<plan>/<shard>/<writer>/<seq>.jsonl

Each line is the whole of what is known of an attempt or a record at that moment; the last line is the SHA-256 of all
before it. A segment is written once; entries that arrive while a write is under way share the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from prefect_trinetra.errors import DatasetError, StorageError
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.records import Record
from prefect_trinetra.storage import Storage

__all__ = [
    "JOURNAL_FOLDER",
    "Journal",
    "JournalName",
    "Replay",
    "new_writer",
    "read_segment",
    "replay",
    "segment_bytes",
]

logger = logging.getLogger(__name__)

JOURNAL_FOLDER: Final = "journal"
# Between two tries of a write that failed: soon enough for a blip, rare enough for an outage of hours.
FIRST_REPEAT_SECONDS: Final = 0.2
LONGEST_REPEAT_SECONDS: Final = 10.0
# How long an entry waits for company: a file for a dozen entries costs hardly more than one for a single entry, and
# a job that takes seconds does not feel it.
LINGER_SECONDS: Final = 0.02
# Where what could not be made durable goes when the process has to end.
SPILL_FOLDER: Final = Path.home() / ".prefect-trinetra" / "spill"


@dataclass(frozen=True, slots=True)
class JournalName:
    """Whose log it is: the plan, the shard, and one opening of that shard by one process."""

    plan_id: str
    shard: str
    writer: str

    @property
    def folder(self) -> str:
        return f"{JOURNAL_FOLDER}/{self.plan_id}/{self.shard}/{self.writer}"

    @property
    def stem(self) -> str:
        """The name of this writer's parts in `attempts/` and `records/`."""
        return f"{self.plan_id}-{self.shard}-{self.writer}"

    @classmethod
    def of_segment(cls, path: str) -> JournalName | None:
        """The writer that a path below `journal/` belongs to, or None for a file that is none of ours."""
        match path.split("/"):
            case [_, plan_id, shard, writer, name] if name.endswith(".jsonl"):
                return cls(plan_id, shard, writer)
            case _:
                return None


def new_writer() -> str:
    """A fresh random id: 12 hexadecimal digits, never reused."""
    return secrets.token_hex(6)


class Journal:
    """One writer's log, open. Used on the I/O loop only."""

    def __init__(
        self,
        storage: Storage,
        name: JournalName,
        *,
        spill_folder: Path = SPILL_FOLDER,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self.name = name
        self._storage = storage.impatient  # it repeats a write for as long as the process lives
        self._spill_folder = spill_folder
        self._linger_seconds = linger_seconds
        self._lines: list[bytes] = []
        self._durable: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._unwritten: list[tuple[str, bytes]] = []
        self._written: list[str] = []

    def note(self, entry: Attempt | Record) -> asyncio.Future[None]:
        """Adds an entry; the future is done when it is durable. It never fails: a failed write is repeated."""
        self._lines.append(_line(entry))
        if self._durable is None:
            self._durable = asyncio.get_running_loop().create_future()
        durable = self._durable
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name=f"journal {self.name.stem}")
        return durable

    async def append(self, entry: Attempt | Record) -> None:
        """Adds an entry and returns when it is durable."""
        await asyncio.shield(self.note(entry))

    async def flush(self) -> None:
        """Returns when everything noted so far is durable."""
        while self._writing is not None:
            await asyncio.shield(self._writing)

    async def discard(self) -> None:
        """Deletes this writer's segments, once attempts and records are stored elsewhere."""
        await self.flush()
        await asyncio.gather(*(self._storage.delete(path) for path in self._written))
        self._written.clear()

    def spill(self) -> Path | None:
        """Saves what could not be made durable to a local file, for `status --recover FILE`; None if there is none."""
        if self._lines:
            self._unwritten.append((self._next_path(), segment_bytes(self._lines)))
        if not self._unwritten:
            return None
        self._spill_folder.mkdir(parents=True, exist_ok=True)
        path = self._spill_folder / f"{self.name.stem}.jsonl"
        path.write_bytes(b"".join(_spilled(name, data) for name, data in self._unwritten))
        logger.error("journal entries of %s could not be stored; they are in %s", self.name.stem, path)
        return path

    async def close(self, *, patience_seconds: float) -> bool:
        """Flushes; False if that took longer than the patience, and then what is left went to a local spill file."""
        try:
            async with asyncio.timeout(patience_seconds):
                await self.flush()
        except TimeoutError:
            await self._give_up()
            return False
        return True

    async def _give_up(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
        self.spill()

    async def _write_all(self) -> None:
        try:
            while self._lines:
                if self._linger_seconds:
                    await asyncio.sleep(self._linger_seconds)
                lines, self._lines = self._lines, []
                durable, self._durable = self._durable, None
                await self._write_for(durable, segment_bytes(lines))
        finally:
            self._writing = None

    async def _write_for(self, durable: asyncio.Future[None] | None, segment: bytes) -> None:
        try:
            await self._write(self._next_path(), segment)
        except BaseException as error:
            # Whoever waits for this entry must not go on as if it were durable, nor wait for ever.
            if durable is not None and not durable.done():
                durable.set_exception(StorageError(f"journal {self.name.stem} ended unwritten: {error!r}"))
                durable.exception()
            raise
        if durable is not None and not durable.done():
            durable.set_result(None)

    def _next_path(self) -> str:
        return f"{self.name.folder}/{len(self._written) + len(self._unwritten):08d}.jsonl"

    async def _write(self, path: str, data: bytes) -> None:
        self._unwritten.append((path, data))
        pause = FIRST_REPEAT_SECONDS
        while True:
            try:
                await self._storage.write(path, data, durable=True)
                break
            except StorageError as error:
                logger.warning("journal segment %s was not stored (%s); again in %.1f s", path, error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_REPEAT_SECONDS)
        self._unwritten.remove((path, data))
        self._written.append(path)


def _line(entry: Attempt | Record) -> bytes:
    return orjson.dumps({type(entry).__name__.lower(): entry})


def segment_bytes(lines: Iterable[bytes]) -> bytes:
    """A whole segment of these lines: each the JSON of one entry, without its line end."""
    body = b"".join(line + b"\n" for line in lines)
    return body + orjson.dumps({"sha256": hashlib.sha256(body).hexdigest()}) + b"\n"


def read_segment(data: bytes) -> list[dict[str, Any]] | None:
    """The entries of a segment, or None where it is torn: then nothing was done on the strength of it."""
    body, _, last = data.rstrip(b"\n").rpartition(b"\n")
    body += b"\n" if body else b""
    try:
        if orjson.loads(last) != {"sha256": hashlib.sha256(body).hexdigest()}:
            return None
        return [orjson.loads(line) for line in body.splitlines()]
    except orjson.JSONDecodeError:
        return None


@dataclass(frozen=True, slots=True)
class Replay:
    """What one writer's log says: attempts and records as last known, in the order they began."""

    attempts: list[Attempt]
    records: list[Record]


def replay(segments: Iterable[list[dict[str, Any]]]) -> Replay:
    """Folds segments, in their order, into the last word about each attempt and each record.

    Raises DatasetError for entries that only a newer version understands.
    """
    attempts: dict[tuple[str, int], Attempt] = {}
    records: dict[tuple[str, int], Record] = {}
    for entry in (entry for segment in segments for entry in segment):
        told = _entry(entry)
        if isinstance(told, Record):
            records[told.key, told.index] = told
            continue
        known = attempts.get((told.key, told.attempt))
        request = told.request or (known.request if known else None)
        attempts[told.key, told.attempt] = replace(told, request=request)
    return Replay(list(attempts.values()), list(records.values()))


def _entry(entry: Mapping[str, Any]) -> Attempt | Record:
    """One line of a segment; fields that a later version added are left out, as in parts."""
    try:
        match entry:
            case {"attempt": fields}:
                known = {name: fields[name] for name in Attempt.__dataclass_fields__ if name in fields}
                return Attempt(**(known | {"state": AttemptState(known["state"])}))
            case {"record": fields}:
                known = {name: fields[name] for name in Record.__dataclass_fields__ if name in fields}
                return Record(**(known | {"outcome": Outcome(known["outcome"])}))
            case _:
                kinds = ", ".join(entry)
                raise DatasetError(f"a journal entry is of kind {kinds}: a newer prefect-trinetra wrote it; upgrade")
    except (TypeError, KeyError, ValueError) as error:
        raise DatasetError(
            f"a journal entry can't be read ({error}): a newer prefect-trinetra wrote it; upgrade"
        ) from error


def _spilled(path: str, data: bytes) -> bytes:
    return orjson.dumps({"segment": path}) + b"\n" + data


def read_spill(data: bytes) -> Mapping[str, bytes]:
    """The segments of a spill file by the path they belong to. Raises DatasetError where it is no such file."""
    segments: dict[str, bytes] = {}
    path = ""
    for line in data.splitlines(keepends=True):
        document = _spill_line(line)
        if set(document) == {"segment"}:
            path = document["segment"]
        elif not path:
            break
        else:
            segments[path] = segments.get(path, b"") + line
    if not segments or any(read_segment(segment) is None for segment in segments.values()):
        raise DatasetError("this is no whole spill file: name the file that the log told of")
    return segments


def _spill_line(line: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
