"""Outcomes as a person reads them: how many, what the word means, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from rich.table import Table
from rich.text import Text

from prefect_trinetra.allowance import Allowance
from prefect_trinetra.cli.figures import clock, counted, credits_text
from prefect_trinetra.cli.terminal import plain
from prefect_trinetra.costs import Cost
from prefect_trinetra.outcomes import FAILURES, Outcome
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.survey import Reason

__all__ = [
    "MEANINGS",
    "budget_sentence",
    "bullets",
    "next_steps",
    "outcome_table",
    "per_image_text",
    "range_words",
    "reason_sentences",
    "report_table",
    "word_table",
]

BULLET: Final = "  • "
REASONS: Final = 8
OVERCHARGES: Final = 3
MEANINGS: Final[Mapping[Outcome, str]] = {
    Outcome.SUCCEEDED: "stored and verified",
    Outcome.REFUSED: "the provider will not make it; nothing charged",
    Outcome.FAILED: "the job failed, nothing charged; the next run tries again",
    Outcome.UNKNOWN: "it may have been ordered: counted as spent, not sent again",
    Outcome.PENDING: "not finished; the next run goes on with it",
    Outcome.DAMAGED: "charged, and what came is no usable image",
    Outcome.EXPIRED: "its images can no longer be had",
    Outcome.INVALID: "no valid request; nothing was sent",
    Outcome.OVER_BUDGET: "did not fit under the cap; nothing was sent",
}
NAME_WIDTH: Final = 12
FIGURE_WIDTH: Final = 7


def word_table() -> Table:
    """Three columns without lines: a name, a figure, and a word on it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=NAME_WIDTH, no_wrap=True)
    table.add_column(min_width=FIGURE_WIDTH, justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def outcome_table(outcomes: Mapping[str, int]) -> Table:
    """The outcomes that occurred."""
    table = word_table()
    for outcome in Outcome:
        if count := outcomes.get(outcome.value, 0):
            table.add_row(
                Text(outcome.value, _style(outcome)), Text(f"{count:,}", "bold"), Text(MEANINGS[outcome], "dim")
            )
    return table


def _style(outcome: Outcome) -> str:
    if outcome is Outcome.SUCCEEDED:
        return "green"
    return "red" if outcome in FAILURES else "yellow"


def report_table(report: DatasetReport) -> Table:
    """The end of a run: outcomes, then images, credits and rows that needed nothing."""
    table = outcome_table(report.outcomes)
    table.add_row("", "", "")
    for name, figure, word in _report_lines(report):
        table.add_row(name, Text(figure, "bold"), Text(word, "dim"))
    return table


def _report_lines(report: DatasetReport) -> Iterator[tuple[str, str, str]]:
    yield "images", f"{report.images:,}", _about_images(report)
    yield "metadata", "", f"{report.metadata_url}: one row an image"
    yield "rows", f"{report.rows:,}", f"{report.rows_url}: every row's outcome and reason"
    if report.failures:
        word = f"{report.failures_url}: why they failed, what each may have cost, how to retry it"
        yield "failures", f"{report.failures:,}", word
    if report.kept:
        yield "kept", f"{report.kept:,}", "recorded before this run: free"
    if report.duplicates:
        yield "duplicates", f"{report.duplicates:,}", "the same request as an earlier row: bought once"
    yield "credits", credits_text(report.credits_charged), _about_credits(report)
    if per_image := report.credits_per_usable_image:
        yield "  per image", per_image_text(per_image), f"over {counted(report.usable, 'usable image')} of all runs"
    if len(report.credits_by_quality) > 1 or "auto" in report.credits_by_quality:
        for quality, cost in report.credits_by_quality.items():
            yield f"  {quality}", credits_text(cost.charged), cost_sentence(cost)
    if report.budget:
        yield "budget", credits_text(report.budget.left), budget_sentence(report.budget)
    yield "time", clock(report.seconds), ""


def _about_images(report: DatasetReport) -> str:
    parts = [report.images_url]
    if report.outputs_missing:
        parts.append(f"{counted(report.outputs_missing, 'image')} of rows that succeeded did not come")
    if report.suspects:
        parts.append(f"{counted(report.suspects, 'image')} may be wrong: see the column suspect, or status --suspects")
    if report.near_duplicates:
        parts.append(f"{counted(report.near_duplicates, 'image')} like an earlier one: see near_duplicate_of")
    return "; ".join(parts)


def _about_credits(report: DatasetReport) -> str:
    parts = [f"charged by this run, of at most {credits_text(report.credits_bound)}"]
    if report.credits_at_most > report.credits_charged:
        parts.append(range_words(report.credits_charged, report.credits_at_most))
    if report.credits_unknown:
        parts.append(f"{credits_text(report.credits_unknown)} of it unknown")
    if report.cap is not None:
        parts.append(f"cap {credits_text(report.cap)}")
    return ", ".join(parts)


def per_image_text(per_image: tuple[float, float]) -> str:
    """What one usable image cost, as a range where something is unknown."""
    least, most = (credits_text(round(credits_, 2)) for credits_ in per_image)
    return least if least == most else f"{least}-{most}"


def cost_sentence(cost: Cost) -> str:
    """What some orders cost, beside the figure of what was charged."""
    parts = [f"charged for {counted(cost.posts, 'order')}, of at most {credits_text(cost.bound)}"]
    if cost.at_most > cost.charged:
        parts.append(range_words(cost.charged, cost.at_most))
    return ", ".join(parts)


def range_words(least: float, most: float) -> str:
    """What is not known for certain, said as the range that it lies in."""
    return f"really {credits_text(least)} to {credits_text(most)}"


def budget_sentence(budget: Allowance) -> str:
    """What a budget leaves, beside the figure of it."""
    spent, credits_ = credits_text(budget.spent), credits_text(budget.credits)
    return f"left of {credits_} credits a {budget.per}, {spent} of them spent; the next {budget.per}: {budget.ends_at}"


def next_steps(report: DatasetReport) -> Iterator[str]:
    """What a person may want to do about what did not succeed."""
    yield from _about_money(report)
    found = {Outcome(name): count for name, count in report.outcomes.items() if count}
    if count := found.get(Outcome.PENDING):
        yield f"{counted(count, 'row')} pending: run the same command again; no order is sent or paid twice."
    if count := found.get(Outcome.OVER_BUDGET):
        yield f"{counted(count, 'row')} over the cap: run again with a higher cap, or in the budget's next period."
    if count := found.get(Outcome.FAILED):
        yield f"{counted(count, 'row')} failed: run the same command again to try once more, nothing was charged."
    for outcome in (Outcome.UNKNOWN, Outcome.DAMAGED, Outcome.EXPIRED):
        if count := found.get(outcome):
            yield f"{counted(count, 'row')} {outcome}: --retry {outcome} orders again, and may pay again."
    account = sum(count for name, count in report.reason_classes.items() if ReasonClass(name).concerns_account)
    if account:
        yield f"{counted(account, 'row')} refused for the account's sake: see to it as said above, and run again."
    if count := found.get(Outcome.REFUSED, 0) + found.get(Outcome.INVALID, 0) - account:
        yield f"{counted(count, 'row')} refused or invalid: change them in the manifest, and run again."


def _about_money(report: DatasetReport) -> Iterator[str]:
    yield from (f"Charged above its bound: {overcharge}." for overcharge in report.overcharges[:OVERCHARGES])
    if report.stopped:
        yield f"Submitting stopped early: {report.stopped}."
    if report.credits_not_ordered:
        yield f"What is left to order costs at most {credits_text(report.credits_not_ordered)} credits more."


def reason_sentences(reasons: Iterable[Reason]) -> Iterator[str]:
    """Why rows did not succeed, a line a class of reasons, the most frequent first."""
    told = [reason for reason in reasons if reason.reason]
    for reason in told[:REASONS]:
        where = f"row {reason.first_row}" if reason.rows == 1 else f"{reason.rows:,} rows, first {reason.first_row}"
        kind = f"{reason.outcome}, {reason.reason_class}" if reason.reason_class else reason.outcome
        others = f" (and {counted(reason.reasons - 1, 'other reason')})" if reason.reasons > 1 else ""
        yield f"{kind} ({where}): {reason.reason}{others}"
    if len(told) > REASONS:
        yield f"and {len(told) - REASONS:,} other reasons, in rows.parquet"


def bullets(sentences: Iterable[str]) -> Iterator[Text]:
    """One line each."""
    for sentence in sentences:
        yield Text(BULLET + plain(sentence))
