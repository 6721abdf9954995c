"""What a run's page shows: how far it is, what became of it, and where its gallery is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact
from prefect.logging import get_run_logger

from prefect_trinetra.export.report import ExportReport
from prefect_trinetra.gallery.writing import GalleryReport
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.report import DatasetReport

__all__ = ["ProgressBar", "artifact_key", "plain_markdown", "show_export", "show_gallery", "show_summary", "summary"]

# An update costs 19 ms, and nobody sees more of them.
UPDATE_SECONDS: Final = 5.0
MAX_KEY_CHARACTERS: Final = 60
MAX_REMARKS: Final = 20
MEGABYTE: Final = 1_000_000


def artifact_key(dataset: str, kind: str) -> str:
    """A key by which Prefect finds a dataset's artifacts of one kind again: small letters, digits and dashes."""
    name = re.sub(r"[^a-z0-9]+", "-", dataset.rstrip("/").rpartition("/")[2].lower()).strip("-")
    return f"{name[:MAX_KEY_CHARACTERS].strip('-') or 'dataset'}-{kind}"


@dataclass
class ProgressBar:
    """A progress artifact that follows a run, renewed every five seconds at most."""

    dataset: str
    rows: int
    now: Callable[[], float] = time.monotonic
    _artifact: UUID | None = None
    _next: float = 0.0
    _shown: int = field(default=-1)

    def show(self, done: int, *, last: bool = False) -> None:
        """Shows that `done` rows have an outcome; leaves it to a later call where the last one was just before."""
        if not self.rows or done == self._shown or (self.now() < self._next and not last):
            return
        self._next = self.now() + UPDATE_SECONDS
        self._shown = done
        _show(self._store(100.0 * min(done, self.rows) / self.rows, f"{done:,} of {self.rows:,} rows done"))

    async def _store(self, percent: float, words: str) -> None:
        if self._artifact is None:
            key = artifact_key(self.dataset, "progress")
            self._artifact = await acreate_progress_artifact(percent, key=key, description=words)
        else:
            await aupdate_progress_artifact(self._artifact, percent, description=words)


def show_summary(report: DatasetReport, pictures: str = "") -> None:
    """Stores the run's summary, with `pictures` (Markdown) below it, as an artifact."""
    key = artifact_key(report.dataset_url, "summary")
    text = f"{summary(report)}\n{pictures}"
    _show(acreate_markdown_artifact(text, key=key, description=f"What became of {report.dataset_url}"))


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
    _show(acreate_markdown_artifact("\n".join(lines), key=key, description=f"An export of {report.dataset_url}"))


def show_gallery(dataset: str, report: GalleryReport) -> None:
    """Stores where a dataset's gallery is and what it shows as an artifact."""
    lines = [f"# {plain_markdown(report.page_url)}", "", f"{report.images:,} images, {report.items:,} frames in all."]
    if report.unshown:
        lines.append(f"{report.unshown:,} images can't be shown: their files are missing or damaged.")
    if not report.is_final:
        lines.append("A run is under way, or broke off: this is how far it is.")
    key = artifact_key(dataset, "gallery")
    _show(acreate_markdown_artifact("\n\n".join(lines), key=key, description=f"The gallery of {dataset}"))


def _show(storing: Coroutine[Any, Any, object]) -> None:
    """Stores an artifact, on the I/O loop since the flow's own thread may have an event loop running or none."""
    try:
        io_loop().run(storing)
    except Exception as error:  # noqa: BLE001  # a picture of the run must not end it: work that is paid for goes on
        get_run_logger().warning("an artifact could not be stored and is left out: %s", error)


def summary(report: DatasetReport) -> str:
    """A report as Markdown: outcomes, credits, and where things lie."""
    return "\n".join(
        [f"# {plain_markdown(report.dataset_url)}", "", *_outcomes(report), "", *_credits(report), *_places(report)]
    )


def _outcomes(report: DatasetReport) -> Iterator[str]:
    yield "| outcome | rows |"
    yield "| --- | ---: |"
    for outcome in Outcome:
        if count := report.outcomes.get(outcome.value, 0):
            yield f"| {outcome.value} | {count:,} |"
    yield f"| **all** | **{report.rows:,}** |"


def _credits(report: DatasetReport) -> Iterator[str]:
    cap = "no cap" if report.cap is None else f"the cap was {report.cap:,g}"
    yield f"**{report.credits_charged:,g} credits** charged in this run, at most {report.credits_bound:,g} ({cap})."
    if report.credits_at_most > report.credits_charged:
        yield f"It really cost {report.credits_charged:,g} to {report.credits_at_most:,g}: not every charge is known."
    if report.credits_unknown:
        yield f"Of these {report.credits_unknown:,g} are for orders of which nobody knows whether they arrived."
    if report.budget:
        yield (
            f"The budget leaves {report.budget.left:,g} of {report.budget.credits:,g} credits a {report.budget.per}, "
            f"until {report.budget.ends_at}."
        )
    if report.stopped:
        yield f"\nSubmitting stopped early: {plain_markdown(report.stopped)}"
    if report.credits_not_ordered:
        yield f"\nWhat is left to order costs at most {report.credits_not_ordered:,g} credits more."
    yield ""


def _places(report: DatasetReport) -> Iterator[str]:
    yield f"- {report.images:,} images: `{report.images_url}`{_about_images(report)}"
    yield f"- one row an image: `{report.metadata_url}`"
    yield f"- one row a manifest row, with its outcome and reason: `{report.rows_url}`"
    if report.failures:
        yield f"- failed rows: {report.failures:,}; why, what each may have cost, how to retry: `{report.failures_url}`"
    yield f"- {report.kept:,} rows were recorded before, {report.duplicates:,} repeat an earlier one"
    yield from (f"- {plain_markdown(remark)}" for remark in report.remarks[:MAX_REMARKS])


def _about_images(report: DatasetReport) -> str:
    odd = [f"{report.suspects:,} suspect"] if report.suspects else []
    odd += [f"{report.near_duplicates:,} like an earlier one"] if report.near_duplicates else []
    per_image = report.credits_per_usable_image
    if per_image is not None:
        least, most = (f"{round(each, 2):,g}" for each in per_image)
        odd.append(f"{least if least == most else f'{least} to {most}'} credits a usable image")
    return f" ({', '.join(odd)})" if odd else ""


def plain_markdown(text: str) -> str:
    """Words of others, without what Markdown or HTML would make of them."""
    return re.sub(r"([\\`*_\[\]<>|#!])", r"\\\1", text.replace("\n", " "))
