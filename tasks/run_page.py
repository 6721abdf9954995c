"""What became of a dataset's run: outcomes, credits, pace, where things lie, and the rows that failed."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from prefect.artifacts import acreate_markdown_artifact
from prefect.logging import get_run_logger

from prefect_trinetra.errors import StorageError
from prefect_trinetra.failures import FAILURES_FILE
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage import Storage
from prefect_trinetra.tasks.artifacts import artifact_key, plain_markdown, store_artifact

__all__ = ["failures_table", "show_run", "show_summary", "summary"]

MAX_REMARKS: Final = 20
# The list of artifacts fetches each of them whole: a picture of the failures, not all of them.
MAX_FAILURES: Final = 50
MAX_CELL_CHARACTERS: Final = 120


def show_run(spec: RunSpec, report: DatasetReport, pictures: str) -> None:
    """Stores what the page of a run shows at its end: the summary and, if rows failed, a table of them."""
    show_summary(report, pictures)
    if report.failures:
        _show_failures(spec, report)


def show_summary(report: DatasetReport, pictures: str = "") -> None:
    """Stores the run's summary, with `pictures` (Markdown) below it, as an artifact."""
    key = artifact_key(report.dataset_url, "summary")
    text = f"{summary(report)}\n{pictures}"
    store_artifact(acreate_markdown_artifact(text, key=key, description=f"What became of {report.dataset_url}"))


def _show_failures(spec: RunSpec, report: DatasetReport) -> None:
    try:
        letters = _first_failures(Storage.open(spec.dataset, spec.storage_options))
    except (OSError, StorageError, ValueError) as error:  # the rows are recorded, and the summary says where
        get_run_logger().warning("the failed rows can't be shown: %s", error)
        return
    key = artifact_key(report.dataset_url, "failures")
    words = f"Why {report.failures:,} rows failed, and what to do"
    store_artifact(acreate_markdown_artifact(failures_table(report, letters), key=key, description=words))


def _first_failures(storage: Storage) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        file = Path(folder) / FAILURES_FILE
        io_loop().run(storage.download(FAILURES_FILE, file))
        with file.open("rb") as lines:
            return [orjson.loads(line) for line in itertools.islice(lines, MAX_FAILURES)]


def failures_table(report: DatasetReport, letters: Sequence[Mapping[str, Any]]) -> str:
    """Failed rows as Markdown: which, why, what to do, what each may have cost. Lines of failures.jsonl are given.

    No table artifact: Prefect's first UI takes the cells of those for Markdown with HTML, its second one cuts them off.
    """
    shown = (
        f"The first {len(letters):,} of {report.failures:,}" if len(letters) < report.failures else f"{len(letters):,}"
    )
    return "\n".join(
        [
            f"# {shown} failed rows",
            "",
            "| row | why | prompt | what to do | credits at most |",
            "| ---: | --- | --- | --- | ---: |",
            *(_failure_line(letter) for letter in letters),
            "",
            f"All of them: `{report.failures_url}`",
        ]
    )


def _failure_line(letter: Mapping[str, Any]) -> str:
    reason = letter["reason"] or "no reason given"
    why = reason if reason.startswith(letter["outcome"]) else f"{letter['outcome']}: {reason}"
    cells = (_cell(why), _cell(letter["prompt"] or ""), _cell(letter["retry"]))
    return f"| {letter['row']} | {' | '.join(cells)} | {letter['credits_at_most']:g} |"


def _cell(text: str) -> str:
    """Words of others: short, on one line, and plain."""
    words = " ".join(text.split())
    return plain_markdown(words if len(words) <= MAX_CELL_CHARACTERS else f"{words[: MAX_CELL_CHARACTERS - 3]}...")


def summary(report: DatasetReport) -> str:
    """A report as Markdown: outcomes, credits, pace, and where things lie."""
    title = f"# {plain_markdown(report.dataset_url)}"
    return "\n".join([title, "", *_outcomes(report), "", *_credits(report), *_pace(report), *_places(report)])


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


def _pace(report: DatasetReport) -> Iterator[str]:
    if report.seconds:
        yield (
            f"**{report.images_made:,} images** came in {report.seconds:,.0f} s: "
            f"{report.images_per_second:,.1f} images/s, planning and tables included."
        )
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
