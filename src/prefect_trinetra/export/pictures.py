"""The images of a table's rows, in their order, fetched side by side and checked against what is recorded."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from prefect_trinetra.storage import Storage

__all__ = ["Picture", "Unreadable", "grouped", "readable"]

# Enough to hide an object store's latency; the bytes bound what is held, whatever the images' size.
READS_AHEAD: Final = 32
BYTES_AHEAD: Final = 16_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """The image of one row of a table, by the row's position: its bytes are exactly those the provider sent."""

    position: int
    file_name: str
    data: bytes

    @property
    def base_name(self) -> str:
        """The file's own name, without its folder."""
        return self.file_name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that can't be exported, and why."""

    file_name: str
    reason: str


async def readable(storage: Storage, table: pa.Table, unreadable: list[Unreadable]) -> AsyncIterator[Picture]:
    """The images of `table`; rows without a usable one are left out and appended to `unreadable`.

    Raises StorageError where the store, and not the image, is at fault.
    """
    async with aclosing(_in_order(storage, table)) as found:
        async for each in found:
            if isinstance(each, Unreadable):
                unreadable.append(each)
            else:
                yield each


async def grouped(pictures: AsyncIterator[Picture], *, most_bytes: int, most_rows: int) -> AsyncIterator[list[Picture]]:
    """The same pictures in lists, none of them above these limits unless a single picture is."""
    group: list[Picture] = []
    size = 0
    async for picture in pictures:
        if group and (size + len(picture.data) > most_bytes or len(group) == most_rows):
            yield group
            group, size = [], 0
        group.append(picture)
        size += len(picture.data)
    if group:
        yield group


async def _in_order(storage: Storage, table: pa.Table) -> AsyncGenerator[Picture | Unreadable, None]:
    reads: deque[tuple[asyncio.Task[Picture | Unreadable], int]] = deque()
    ahead = 0
    columns = (table[name].to_pylist() for name in ("file_name", "sha256", "bytes"))
    try:
        for position, (name, sha256, recorded_bytes) in enumerate(zip(*columns, strict=True)):
            size = recorded_bytes or 0
            while reads and (len(reads) >= READS_AHEAD or ahead + size > BYTES_AHEAD):
                read, its_size = reads.popleft()
                ahead -= its_size
                yield await read
            reads.append((asyncio.create_task(_read(storage, position, name, sha256)), size))
            ahead += size
        while reads:
            yield await reads.popleft()[0]
    finally:
        for read, _ in reads:
            read.cancel()
        await asyncio.gather(*(read for read, _ in reads), return_exceptions=True)


async def _read(storage: Storage, position: int, file_name: str, sha256: str) -> Picture | Unreadable:
    try:
        data = await storage.read(file_name)
    except FileNotFoundError:
        return Unreadable(file_name, "the file is missing")
    if hashlib.sha256(data).hexdigest() != sha256:
        return Unreadable(file_name, "the file's bytes are not those that were recorded: it was changed or damaged")
    return Picture(position, file_name, data)
