"""How figures, outcomes and progress read."""

from __future__ import annotations

import time

import pytest

from command import wait_until
from prefect_trinetra.cli.figures import ago, clock, counted, credits_text
from prefect_trinetra.cli.live import LiveProgress, progress_sentence
from prefect_trinetra.cli.outcome_table import MEANINGS, next_steps, reason_sentences
from prefect_trinetra.cli.terminal import Terminal, plain
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.progress import Progress
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.report import DatasetReport, all_outcomes
from prefect_trinetra.survey import Reason


def report(**outcomes: int) -> DatasetReport:
    counts = {Outcome(name): count for name, count in outcomes.items()}
    return DatasetReport(
        dataset_url="kites",
        images_url="kites/images",
        metadata_url="kites/metadata.parquet",
        rows_url="kites/rows.parquet",
        failures_url="kites/failures.jsonl",
        run_id="run",
        plan_id="plan",
        rows=sum(outcomes.values()),
        kept=0,
        duplicates=0,
        images=0,
        outcomes=all_outcomes(counts),
        credits_bound=0,
        credits_charged=0,
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (counted(1, "row"), "1 row"),
        (counted(1632, "row"), "1,632 rows"),
        (credits_text(1960.0), "1,960"),
        (credits_text(12.5), "12.5"),
        (credits_text(0.0), "0"),
        (credits_text(100.0), "100"),
        (clock(38.4), "0:38"),
        (clock(725), "12:05"),
        (clock(3730), "1:02:10"),
        (ago(12), "12 s ago"),
        (ago(300), "5 min ago"),
        (ago(4 * 3600), "4 h ago"),
        (ago(3 * 86400), "3 days ago"),
    ],
)
def test_figures_read_as_people_write_them(said: str, words: str) -> None:
    """Thousands apart, no decimals without need, minutes and hours."""
    assert said == words


def test_every_outcome_has_a_word() -> None:
    """A new outcome needs one too."""
    assert MEANINGS.keys() == set(Outcome)


def test_a_row_that_did_not_succeed_comes_with_what_to_do() -> None:
    """Whatever the outcome, there is a next step; for a success there is none."""
    assert list(next_steps(report(succeeded=3))) == []
    for outcome in set(Outcome) - {Outcome.SUCCEEDED}:
        (step,) = next_steps(report(**{outcome.value: 2}))
        assert step.startswith("2 rows ")


def test_reasons_name_the_first_row_of_many() -> None:
    """Reasons of one class are told once; what an early version recorded has no class."""
    reasons = [
        Reason(Outcome.REFUSED, "too rude", 3, 7, ReasonClass.MODERATION, reasons=2),
        Reason(Outcome.FAILED, "no luck", 1, 9),
    ]
    assert list(reason_sentences(reasons)) == [
        "refused, moderation (3 rows, first 7): too rude (and 1 other reason)",
        "failed (row 9): no luck",
    ]


def test_many_different_reasons_are_cut_short() -> None:
    """The rest is in the table of rows."""
    reasons = [Reason(Outcome.FAILED, f"reason {number}", 1, number) for number in range(20)]
    *told, last = reason_sentences(reasons)
    assert len(told) < 20
    assert last == f"and {20 - len(told)} other reasons, in rows.parquet"


def test_words_of_others_cannot_move_the_cursor() -> None:
    """An escape sequence in a provider's answer or a file's name is shown, not obeyed."""
    assert plain("all \x1b[2Jgone\n") == "all \N{REPLACEMENT CHARACTER}[2Jgone\N{REPLACEMENT CHARACTER}"


def test_progress_says_all_that_counts() -> None:
    """Done, in flight, failed, credits, images a second, time left."""
    progress = Progress(in_flight=3, images=20, credits_charged=140.0)
    progress.begin(40)
    progress.started = time.monotonic() - 10
    progress.outcomes.update({Outcome.SUCCEEDED: 18, Outcome.REFUSED: 2})
    assert progress_sentence(progress) == "20/40 rows  3 in flight  2 failed  140 credits  2.0 images/s  0:10 left"


def test_without_a_terminal_progress_comes_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """One line every so often, on stderr."""
    with LiveProgress(Progress(rows_to_do=40), Terminal(), line_every_seconds=0.01):
        wait_until(lambda: "0/40 rows" in capsys.readouterr().err, "a line was written")
