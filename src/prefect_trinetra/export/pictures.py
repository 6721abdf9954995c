"""The images of a table's rows, in their order, fetched side by side and checked against what is recorded."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import pyarrow as pa

from prefect_trinetra.storage import Storage

__all__ = ["Picture", "PictureReader"]

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
class _Wanted:
    position: int
    file_name: str
    sha256: str
    bytes: int


class PictureReader:
    """Reads ahead between entering and leaving it; what is still under way is then given up.

    `unreadable` tells, by file name, why an image is not among the pictures.
    """

    def __init__(self, storage: Storage, table: pa.Table) -> None:
        self.unreadable: dict[str, str] = {}
        self._storage = storage
        self._wanted = _wanted(table)
        self._next = next(self._wanted, None)
        self._reads: deque[tuple[asyncio.Task[Picture | None], int]] = deque()
        self._ahead = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for read, _ in self._reads:
            read.cancel()
        await asyncio.gather(*(read for read, _ in self._reads), return_exceptions=True)

    async def group(self, *, most_bytes: int, most_rows: int) -> list[Picture]:
        """The next pictures in order, at least one; none at the end.

        Above `most_bytes` there is a single picture at most. Raises StorageError where the store, and not an image, is
        at fault.
        """
        group: list[Picture] = []
        size = 0
        while len(group) < most_rows:
            self._read_ahead()
            if not self._reads or (group and size + self._reads[0][1] > most_bytes):
                break
            read, its_size = self._reads.popleft()
            self._ahead -= its_size
            if (picture := await read) is not None:
                group.append(picture)
                size += its_size
        return group

    def _read_ahead(self) -> None:
        while self._next is not None:
            size = self._next.bytes
            if self._reads and (len(self._reads) >= READS_AHEAD or self._ahead + size > BYTES_AHEAD):
                return
            task = asyncio.create_task(self._read(self._next), name=f"read {self._next.file_name}")
            self._reads.append((task, size))
            self._ahead += size
            self._next = next(self._wanted, None)

    async def _read(self, wanted: _Wanted) -> Picture | None:
        try:
            data = await self._storage.read(wanted.file_name)
        except FileNotFoundError:
            self.unreadable[wanted.file_name] = "the file is missing"
            return None
        if hashlib.sha256(data).hexdigest() != wanted.sha256:
            reason = "the file's bytes are not those that were recorded: it was changed or damaged"
            self.unreadable[wanted.file_name] = reason
            return None
        return Picture(wanted.position, wanted.file_name, data)


def _wanted(table: pa.Table) -> Iterator[_Wanted]:
    columns = (table[name].to_pylist() for name in ("file_name", "sha256", "bytes"))
    for position, (name, sha256, size) in enumerate(zip(*columns, strict=True)):
        yield _Wanted(position, name, sha256, size or 0)
