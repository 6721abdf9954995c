"""The writing of an export's files: built one at a time, stored while the next one is built."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from prefect_trinetra.export.folders import write_pictures
from prefect_trinetra.export.parquet_shards import write_parquet
from prefect_trinetra.export.pictures import PictureReader
from prefect_trinetra.export.report import ExportedFile
from prefect_trinetra.export.selection import Selection
from prefect_trinetra.export.shards import ShardPlan, ShardRows
from prefect_trinetra.export.spec import ExportFormat
from prefect_trinetra.export.tar_shards import write_tar
from prefect_trinetra.export.target import DATA_FOLDER, Target
from prefect_trinetra.export.worker import Worker
from prefect_trinetra.storage import Storage
from prefect_trinetra.storage_errors import storage_error
from prefect_trinetra.threads import in_thread

__all__ = ["OnImages", "Writing", "file_digest"]

# One is built while the one before it is stored; a built one is a file on the local disk.
FILES_AT_ONCE: Final = 2
EXTENSIONS: Final = {ExportFormat.WEBDATASET: "tar", ExportFormat.PARQUET: "parquet"}
OnImages = Callable[[int, int], None]


@dataclass
class Writing:
    """All files of one export. `on_images` is told, file by file, how many images are done of all."""

    format: ExportFormat
    fingerprint: str
    source: Storage
    target: Target
    selection: Selection
    plan: ShardPlan
    folder: Path
    worker: Worker
    on_images: OnImages
    _done: int = 0
    _building: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def all_files(self) -> list[ExportedFile]:
        """Every file in order, those that were there already included."""
        gate = asyncio.Semaphore(FILES_AT_ONCE)
        tasks: list[asyncio.Task[ExportedFile]] = []
        shards = self.plan.shards(self.selection)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await gate.acquire()
                    shard = await self.worker.do(partial(next, shards, None))
                    if shard is None:
                        break
                    task = group.create_task(self._one(shard), name=f"export {shard.split} {shard.number}")
                    task.add_done_callback(lambda _: gate.release())
                    tasks.append(task)
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors
        return [task.result() for task in tasks]

    async def _one(self, shard: ShardRows) -> ExportedFile:
        path = f"{DATA_FOLDER}/{shard.name(self.fingerprint, EXTENSIONS.get(self.format, 'part'))}"
        file = self.target.finished.get(path)
        if file is None:
            async with PictureReader(self.source, shard.table) as reader:
                file = await self._written(path, shard, reader)
            file = file.model_copy(update={"unreadable": reader.unreadable})
            await self.target.finish(file)
        self._done += shard.table.num_rows
        self.on_images(self._done, self.plan.images)
        return file

    async def _written(self, path: str, shard: ShardRows, reader: PictureReader) -> ExportedFile:
        if self.format is ExportFormat.IMAGEFOLDER:
            count, size = await write_pictures(self.target.storage, f"{DATA_FOLDER}/{shard.split}", reader)
            return ExportedFile(path=path, split=shard.split, images=count, bytes=size)
        local = self.folder / path.rpartition("/")[2]
        try:
            async with self._building, _on_this_disk(local):
                columns = await self.worker.do(partial(self.selection.exported, shard.table))
                write = write_tar if self.format is ExportFormat.WEBDATASET else write_parquet
                count = await write(local, columns, reader, self.worker)
            digest, size = await in_thread(partial(file_digest, local))
            await self.target.storage.upload(local, path)
        finally:
            local.unlink(missing_ok=True)
        return ExportedFile(path=path, split=shard.split, images=count, bytes=size, sha256=digest)


@asynccontextmanager
async def _on_this_disk(local: Path) -> AsyncIterator[None]:
    """What goes wrong with the file that is built is said as of any other file."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, doing="building", url=f"{local} (TMPDIR names its folder)") from error


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the others."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def file_digest(path: Path) -> tuple[str, int]:
    """The SHA-256 of a local file, and its size in bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
