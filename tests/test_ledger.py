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


@pytest.mark.parametrize("answer", [AttemptState.VOID, AttemptState.REFUSED, AttemptState.UNKNOWN])
def test_half_a_journal_beside_its_part_takes_no_answer_back(answer: AttemptState) -> None:
    """Rule: a writer knows its own answers; an intent of its that was left behind makes nothing unknown."""
    told, left_behind = attempt(answer, answered_at=101.0), attempt(AttemptState.OPEN, request="{}")
    merged = merge_attempts([told, left_behind])
    assert [(each.state, each.request) for each in merged[told.key, 1]] == [(answer, "{}")]


def test_another_writers_refusal_does_not_hide_an_intent() -> None:
    """Rule: what may have cost something counts until the one who sent it says that it did not."""
    merged = merge_attempts([attempt(AttemptState.REFUSED, writer="w2", answered_at=999.0), attempt(AttemptState.OPEN)])
    assert [each.state for each in merged[attempt().key, 1]] == [AttemptState.OPEN]


def test_a_job_gets_its_request_from_the_intent() -> None:
    (job,) = merge_attempts([attempt(AttemptState.OPEN, request="{}"), attempt()])[attempt().key, 1]
    assert (job.job_id, job.request) == ("job-1", "{}")


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
