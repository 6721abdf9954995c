"""An export from its beginning to its end: select, share out, write each file once, add the papers."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prefect_trinetra.dataset import read_identity
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.export.folders import write_pictures
from prefect_trinetra.export.hub import check_hub, push
from prefect_trinetra.export.papers import write_papers
from prefect_trinetra.export.parquet_shards import write_parquet
from prefect_trinetra.export.pictures import Picture, Unreadable, readable
from prefect_trinetra.export.report import ExportedFile, ExportReport, SplitTotals
from prefect_trinetra.export.selection import Selection
from prefect_trinetra.export.shards import ShardPlan, ShardRows
from prefect_trinetra.export.spec import ExportFormat, ExportSpec
from prefect_trinetra.export.tables import write_tables
from prefect_trinetra.export.tar_shards import write_tar
from prefect_trinetra.export.target import DATA_FOLDER, Target
from prefect_trinetra.loop import io_loop
from prefect_trinetra.storage import Storage
from prefect_trinetra.threads import in_thread
from prefect_trinetra.views import METADATA_FILE

__all__ = ["export_dataset"]

# One is written while the one before it is stored; each holds a window of images and a file on the local disk.
FILES_AT_ONCE: Final = 2
EXTENSIONS: Final = {ExportFormat.WEBDATASET: "tar", ExportFormat.PARQUET: "parquet"}
OnImages = Callable[[int, int], None]


def export_dataset(spec: ExportSpec, on_images: OnImages = lambda done, of: None) -> ExportReport:
    """Writes an export and returns its report; `on_images` is told, file by file, how many images are done of all.

    An export that broke off goes on where it ended; one that is complete is left as it is. Raises ConfigurationError
    where there is nothing to export, or the target holds something else, and StorageError.
    """
    if spec.push_to_hub is not None:
        check_hub(spec.push_to_hub)
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        report = io_loop().run(_export(spec, Path(folder), on_images))
    if spec.push_to_hub is None:
        return report
    hub_url = push(Storage.open(spec.to, spec.to_options), spec.push_to_hub, private=spec.private)
    return report.model_copy(update={"hub_url": hub_url})


async def _export(spec: ExportSpec, folder: Path, on_images: OnImages) -> ExportReport:
    started = time.monotonic()
    source, goal = Storage.open(spec.dataset, spec.dataset_options), Storage.open(spec.to, spec.to_options)
    if f"{goal.url}/".startswith(f"{source.url}/"):
        raise ConfigurationError(f"{goal.url} lies in the dataset itself: choose a folder outside of it")
    metadata_file = await _metadata(source, folder)
    selection = Selection(metadata_file, spec)
    digest = await in_thread(lambda: _digest(metadata_file))
    plan = await in_thread(lambda: ShardPlan.of(selection, spec.max_shard_bytes))
    if not plan.images:
        raise ConfigurationError(f"nothing of {source.url} is to be exported: no image fits what was asked for")
    begun = ExportReport(
        export_url=goal.url,
        dataset_url=source.url,
        format=spec.format,
        fingerprint=spec.fingerprint(digest),
        labels=spec.labels,
        left_out=dict(selection.left_out),
    )
    target = await Target.open(goal, spec, begun)
    if target.complete is not None and target.complete.labels == begun.labels:
        return target.complete
    writing = _Writing(spec, begun.fingerprint, source, target, selection, plan, folder, on_images)
    files = await writing.all_files()
    report = _finished(begun, files, kept=len(target.finished))
    await write_tables(report, selection, plan, goal, folder)
    papers = await write_papers(report, spec, selection, source, goal)
    seconds = round(time.monotonic() - started, 2)
    report = report.model_copy(update={"papers": papers, "seconds": seconds, "is_complete": True})
    await target.conclude(report)
    return report


async def _metadata(source: Storage, folder: Path) -> Path:
    """The dataset's table of images, brought here."""
    path = folder / "metadata.parquet"
    try:
        await source.download(METADATA_FILE, path)
    except FileNotFoundError as error:
        known = await read_identity(source)
        what = "is no dataset: check the address" if known is None else "has no run that ended yet: generate first"
        raise ConfigurationError(f"nothing to export: {source.url} {what} (it has no {METADATA_FILE})") from error
    return path


def _finished(begun: ExportReport, files: list[ExportedFile], *, kept: int) -> ExportReport:
    splits: dict[str, SplitTotals] = {}
    for file in files:
        before = splits.get(file.split, SplitTotals(images=0, files=0, bytes=0))
        splits[file.split] = SplitTotals(
            images=before.images + file.images, files=before.files + 1, bytes=before.bytes + file.bytes
        )
    unreadable = {name: reason for file in files for name, reason in file.unreadable.items()}
    totals = {"images": sum(file.images for file in files), "bytes": sum(file.bytes for file in files)}
    return begun.model_copy(update={**totals, "splits": splits, "files": files, "kept": kept, "unreadable": unreadable})


@dataclass
class _Writing:
    """The writing of all files, a few at once."""

    spec: ExportSpec
    fingerprint: str
    source: Storage
    target: Target
    selection: Selection
    plan: ShardPlan
    folder: Path
    on_images: OnImages
    _done: int = field(default=0)

    async def all_files(self) -> list[ExportedFile]:
        """Every file in order, those that were there already included."""
        gate = asyncio.Semaphore(FILES_AT_ONCE)
        tasks: list[asyncio.Task[ExportedFile]] = []
        shards = self.plan.shards(self.selection)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await gate.acquire()
                    shard = await in_thread(lambda: next(shards, None))
                    if shard is None:
                        break
                    task = group.create_task(self._one(shard), name=f"export {shard.split} {shard.number}")
                    task.add_done_callback(lambda _: gate.release())
                    tasks.append(task)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return [task.result() for task in tasks]

    async def _one(self, shard: ShardRows) -> ExportedFile:
        path = f"{DATA_FOLDER}/{shard.name(self.fingerprint, EXTENSIONS.get(self.spec.format, 'part'))}"
        file = self.target.finished.get(path)
        if file is None:
            unreadable: list[Unreadable] = []
            pictures = readable(self.source, shard.table, unreadable)
            file = await self._written(path, shard, pictures)
            file = file.model_copy(update={"unreadable": {each.file_name: each.reason for each in unreadable}})
            await self.target.finish(file)
        self._done += shard.table.num_rows
        self.on_images(self._done, self.plan.images)
        return file

    async def _written(self, path: str, shard: ShardRows, pictures: AsyncIterator[Picture]) -> ExportedFile:
        if self.spec.format is ExportFormat.IMAGEFOLDER:
            count, size = await write_pictures(self.target.storage, f"{DATA_FOLDER}/{shard.split}", pictures)
            return ExportedFile(path=path, split=shard.split, images=count, bytes=size)
        local = self.folder / path.rpartition("/")[2]
        columns = self.selection.exported(shard.table)
        try:
            write = write_tar if self.spec.format is ExportFormat.WEBDATASET else write_parquet
            count = await write(local, columns, pictures)
            digest = await in_thread(lambda: _digest(local))
            await self.target.storage.upload(local, path)
            size = local.stat().st_size  # one look at a local disk
        finally:
            local.unlink(missing_ok=True)
        return ExportedFile(path=path, split=shard.split, images=count, bytes=size, sha256=digest)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
