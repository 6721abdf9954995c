"""An export from its beginning to its end: select, share out, write each file once, add the papers."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path

from prefect_trinetra.dataset import read_identity
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.export.hub import check_hub, push
from prefect_trinetra.export.papers import write_papers
from prefect_trinetra.export.report import ExportedFile, ExportReport, SplitTotals
from prefect_trinetra.export.selection import Selection
from prefect_trinetra.export.shards import ShardPlan
from prefect_trinetra.export.spec import ExportSpec
from prefect_trinetra.export.tables import write_tables
from prefect_trinetra.export.target import Target
from prefect_trinetra.export.worker import Worker
from prefect_trinetra.export.writing import OnImages, Writing, file_digest
from prefect_trinetra.loop import io_loop
from prefect_trinetra.storage import Storage
from prefect_trinetra.threads import in_thread
from prefect_trinetra.views import METADATA_FILE

__all__ = ["export_dataset"]


def export_dataset(spec: ExportSpec, on_images: OnImages = lambda done, of: None) -> ExportReport:
    """Writes an export and returns its report; `on_images` is told, file by file, how many images are done of all.

    An export that broke off goes on where it ended; one that is complete is left as it is. Raises ConfigurationError
    where there is nothing to export, or the target holds something else, and StorageError.
    """
    if spec.push_to_hub is not None:
        check_hub(spec.push_to_hub)
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder, Worker() as worker:
        report = io_loop().run(_export(spec, Path(folder), worker, on_images))
    if spec.push_to_hub is None:
        return report
    hub_url = push(Storage.open(spec.to, spec.to_options), spec.push_to_hub, private=spec.private)
    return report.model_copy(update={"hub_url": hub_url})


async def _export(spec: ExportSpec, folder: Path, worker: Worker, on_images: OnImages) -> ExportReport:
    started = time.monotonic()
    source, goal = Storage.open(spec.dataset, spec.dataset_options), Storage.open(spec.to, spec.to_options)
    if f"{goal.url}/".startswith(f"{source.url}/"):
        raise ConfigurationError(f"{goal.url} lies in the dataset itself: choose a folder outside of it")
    metadata_file = await _metadata(source, folder)
    selection = Selection(metadata_file, spec)
    digest, _ = await in_thread(partial(file_digest, metadata_file))
    plan = await worker.do(partial(ShardPlan.of, selection, spec.max_shard_bytes))
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
    writing = Writing(spec.format, begun.fingerprint, source, target, selection, plan, folder, worker, on_images)
    files = await writing.all_files()
    report = _finished(begun, files, kept=len(target.finished))
    await write_tables(report, selection, plan, goal, folder=folder, worker=worker)
    papers = await write_papers(report, spec, selection, source, goal, worker=worker)
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
