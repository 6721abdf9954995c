"""Bringing back what a process could not store when it had to end: the spill file's segments, into the dataset."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Final

import orjson

from prefect_trinetra.errors import DatasetError
from prefect_trinetra.journal import JournalName, read_segment, read_spill, segment_bytes
from prefect_trinetra.ledger import AttemptState
from prefect_trinetra.storage import Storage

__all__ = ["recover_spill"]

WRITER_DIGITS: Final = 12


async def recover_spill(storage: Storage, data: bytes) -> list[str]:
    """Writes a spill file's segments into the dataset's journal; the paths that were not there before.

    They become a writer of their own, named by the file's content: a part that the lost writer's other segments have
    become keeps its name, and recovering a file twice changes nothing. Intents stay out: one that was never durable was
    never sent. Raises DatasetError where it is no spill file.
    """
    writer = hashlib.sha256(data).hexdigest()[:WRITER_DIGITS]
    written = []
    for told_path, segment in read_spill(data).items():
        path = _path_for(told_path, writer)
        if await storage.create(path, _without_unsent(segment)):
            written.append(path)
    return written


def _without_unsent(segment: bytes) -> bytes:
    entries = read_segment(segment) or []
    said = [entry for entry in entries if entry.get("attempt", {}).get("state") != AttemptState.OPEN]
    return segment_bytes(orjson.dumps(entry) for entry in said)


def _path_for(told_path: str, writer: str) -> str:
    name = JournalName.of_segment(told_path)
    if name is None:
        raise DatasetError(f"the spill file speaks of {told_path}, which is no journal segment: name another file")
    return f"{JournalName(name.plan_id, name.shard, writer).folder}/{PurePosixPath(told_path).name}"
