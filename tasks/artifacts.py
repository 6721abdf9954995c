"""What a run's page shows: how far it is, what an export holds, and where a gallery is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.logging import get_run_logger
from prefect.utilities.context import get_task_and_flow_run_ids

from prefect_trinetra.export.report import ExportReport
from prefect_trinetra.gallery.writing import GalleryReport
from prefect_trinetra.loop import io_loop

__all__ = ["ProgressBar", "artifact_key", "plain_markdown", "show_export", "show_gallery", "store_artifact"]

# Of what is shown no more than ten seconds go by unseen: the caller comes by every second, a slow server adds one.
# Each update is a call of Prefect's API, so it is not made more often than that.
UPDATE_SECONDS: Final = 8.0
MAX_KEY_CHARACTERS: Final = 60
MAX_REMARKS: Final = 20
MEGABYTE: Final = 1_000_000


def artifact_key(dataset: str, kind: str) -> str:
    """A key by which Prefect finds a dataset's artifacts of one kind again: small letters, digits and dashes."""
    name = re.sub(r"[^a-z0-9]+", "-", dataset.rstrip("/").rpartition("/")[2].lower()).strip("-")
    return f"{name[:MAX_KEY_CHARACTERS].strip('-') or 'dataset'}-{kind}"


@dataclass
class ProgressBar:
    """A progress artifact that follows a run: what it shows was true at most ten seconds ago, and it says when.

    `now` and `clock` tell the time that passes and the time of day.
    """

    dataset: str
    rows: int
    now: Callable[[], float] = time.monotonic
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _artifact: UUID | None = None
    _next: float = 0.0
    _shown: int = field(default=-1)
    _kept_open: ExitStack = field(default_factory=ExitStack)
    _client: SyncPrefectClient | None = None

    def show(self, done: int, *, last: bool = False) -> None:
        """Shows that `done` rows have an outcome; leaves it to a later call where the last one was just before."""
        if not self.due(done, last=last):
            return
        try:
            self._store(100.0 * min(done, self.rows) / self.rows, self.words(done))
        except Exception as error:  # noqa: BLE001  # as in store_artifact
            get_run_logger().warning("the progress could not be stored: %s", error)

    def close(self) -> None:
        """Nothing more is shown."""
        self._kept_open.close()

    def due(self, done: int, *, last: bool = False) -> bool:
        """Whether it is to be shown now; if so, the next change is due eight seconds later."""
        if not self.rows or done == self._shown or (self.now() < self._next and not last):
            return False
        self._next = self.now() + UPDATE_SECONDS
        self._shown = done
        return True

    def words(self, done: int) -> str:
        """`375 of 1,000 rows done at 11:34:05 UTC`."""
        return f"{done:,} of {self.rows:,} rows done at {self.clock():%H:%M:%S} UTC"

    def _store(self, percent: float, words: str) -> None:
        # One client for all of them: each new one asks the server for a token first.
        client = self._client = self._client or self._kept_open.enter_context(get_client(sync_client=True))
        if self._artifact is None:
            _, flow_run_id = get_task_and_flow_run_ids()
            made = ArtifactCreate(
                type="progress",
                key=artifact_key(self.dataset, "progress"),
                description=words,
                data=percent,
                flow_run_id=flow_run_id,
            )
            self._artifact = client.create_artifact(made).id
        else:
            client.update_artifact(self._artifact, ArtifactUpdate(data=percent, description=words))


def show_export(report: ExportReport) -> None:
    """Stores what an export holds as an artifact."""
    lines = [f"# {plain_markdown(report.export_url)}", ""]
    lines += ["| split | images | files | MB |", "| --- | ---: | ---: | ---: |"]
    for name, split in report.splits.items():
        lines.append(f"| {name} | {split.images:,} | {split.files:,} | {split.bytes / MEGABYTE:,.1f} |")
    lines += ["", f"{report.format}, made from `{report.dataset_url}`."]
    lines += [f"\n{count:,} images were left out by `{why}`." for why, count in report.left_out.items()]
    for name, reason in list(report.unreadable.items())[:MAX_REMARKS]:
        lines.append(f"- not in it: `{name}`, {plain_markdown(reason)}")
    key = artifact_key(report.export_url, "export")
    store_artifact(
        acreate_markdown_artifact("\n".join(lines), key=key, description=f"An export of {report.dataset_url}")
    )


def show_gallery(dataset: str, report: GalleryReport) -> None:
    """Stores where a dataset's gallery is and what it shows as an artifact."""
    lines = [f"# {plain_markdown(report.page_url)}", "", f"{report.images:,} images, {report.items:,} frames in all."]
    if report.unshown:
        lines.append(f"{report.unshown:,} images can't be shown: their files are missing or damaged.")
    if not report.is_final:
        lines.append("A run is under way, or broke off: this is how far it is.")
    key = artifact_key(dataset, "gallery")
    store_artifact(acreate_markdown_artifact("\n\n".join(lines), key=key, description=f"The gallery of {dataset}"))


def store_artifact(storing: Coroutine[Any, Any, object]) -> None:
    """Stores an artifact, on the I/O loop since the flow's own thread may have an event loop running or none."""
    try:
        io_loop().run(storing)
    except Exception as error:  # noqa: BLE001  # a picture of the run must not end it: work that is paid for goes on
        get_run_logger().warning("an artifact could not be stored and is left out: %s", error)


def plain_markdown(text: str) -> str:
    """Words of others, without what Markdown or HTML would make of them."""
    return re.sub(r"([\\`*_\[\]<>|#!~&])", r"\\\1", text.replace("\n", " "))
