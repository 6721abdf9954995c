"""The ledger: what each POST counts as, and how parts of it are merged."""

from __future__ import annotations

import pytest
from builders import attempt

from prefect_trinetra.ledger import Attempt, AttemptState, attempts_table, merge_attempts, read_attempts


@pytest.mark.parametrize(
    ("told", "spent"),
    [
        (attempt(AttemptState.OPEN), 7.0),
        (attempt(AttemptState.UNKNOWN), 7.0),
        (attempt(AttemptState.VOID), 0.0),
        (attempt(AttemptState.REFUSED), 0.0),
        (attempt(), 7.0),
        (attempt(credits_charged=3.0, outcome="succeeded"), 3.0),
        (attempt(outcome="failed"), 0.0),
        (attempt(outcome="succeeded"), 7.0),
    ],
)
def test_a_post_counts_as_its_charge_or_else_its_bound(told: Attempt, spent: float) -> None:
    assert told.spent == spent


def test_an_answer_beats_the_intent_without_one() -> None:
    """Rule: a run that only seemed dead may still tell what became of its POST."""
    merged = merge_attempts([attempt(), attempt(AttemptState.OPEN)])
    assert [each.state for each in merged[attempt().key, 1]] == [AttemptState.ACCEPTED]


def test_two_jobs_of_one_attempt_are_both_on_the_bill() -> None:
    merged = merge_attempts([attempt(job_id="a"), attempt(job_id="b"), attempt(AttemptState.UNKNOWN)])
    assert [each.job_id for each in merged[attempt().key, 1]] == ["a", "b"]


def test_the_account_that_saw_the_end_stands_and_keeps_the_request() -> None:
    ended = attempt(outcome="succeeded", credits_charged=7.0, finished_at=300.0)
    (told,) = merge_attempts([attempt(request="{}"), ended])[attempt().key, 1]
    assert (told.outcome, told.credits_charged, told.request) == ("succeeded", 7.0, "{}")


def test_a_table_gives_its_attempts_back_and_forgives_columns_of_later_versions() -> None:
    told = [attempt(reason="x"), attempt(AttemptState.OPEN, attempt=2)]
    table = attempts_table(told).append_column("later", [["a", "b"]])
    assert list(read_attempts(table)) == told
