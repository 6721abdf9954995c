"""What is to happen with a request that is already known of."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import attempt, record
from prefect_trinetra.ledger import Attempt, AttemptState, merge_attempts
from prefect_trinetra.outcomes import RETRYABLE, Outcome
from prefect_trinetra.reasons import RETRY_WORDS, ReasonClass, RetryWord
from prefect_trinetra.standing import Action, Rules, decide, outcome_now

DEFAULT = Rules(frozenset({Outcome.FAILED}), max_attempts=3)


def test_a_new_request_is_bought() -> None:
    assert decide([], [], DEFAULT).action is Action.BUY


def test_a_success_is_kept() -> None:
    """Rule: a finished dataset is free to rerun."""
    kept = decide([record()], [attempt(outcome="succeeded")], DEFAULT)
    assert (kept.action, kept.outcome) == (Action.KEEP, Outcome.SUCCEEDED)


@pytest.mark.parametrize("outcome", [None, "pending"])
def test_a_job_that_is_out_is_collected_and_never_submitted_again(outcome: str | None) -> None:
    standing = decide([], [attempt(outcome=outcome)], Rules(RETRYABLE, max_attempts=99))
    assert standing.action is Action.COLLECT
    assert standing.job is not None
    assert standing.job.job_id == "job-1"


def test_the_rest_of_a_half_collected_job_is_collected() -> None:
    """Rule: nothing bought is lost, also where one image of two is stored already."""
    assert decide([record()], [attempt(outcome="pending")], DEFAULT).action is Action.COLLECT


def test_a_success_whose_records_were_never_journaled_is_collected_again() -> None:
    assert decide([], [attempt(outcome="succeeded")], DEFAULT).action is Action.COLLECT


@pytest.mark.parametrize("state", [AttemptState.OPEN, AttemptState.UNKNOWN])
def test_an_unanswered_post_is_not_sent_again_by_itself(state: AttemptState) -> None:
    standing = decide([], [attempt(state)], DEFAULT)
    assert (standing.action, standing.outcome) == (Action.KEEP, Outcome.UNKNOWN)
    assert standing.reason


def test_an_unanswered_post_is_bought_again_on_the_users_word() -> None:
    standing = decide([], [attempt(AttemptState.UNKNOWN)], Rules(frozenset({Outcome.UNKNOWN}), 3))
    assert (standing.action, standing.attempt) == (Action.BUY, 2)


def test_an_honoured_idempotency_key_repeats_the_same_attempt() -> None:
    """Rule: only with the user's word about the account is an unknown POST repeated, under the same key."""
    standing = decide([], [attempt(AttemptState.UNKNOWN)], Rules(frozenset(), 3, honours_idempotency_key=True))
    assert (standing.action, standing.attempt) == (Action.BUY, 1)


def test_a_void_post_is_sent_again_under_the_same_attempt() -> None:
    standing = decide([], [attempt(AttemptState.VOID, attempt=2)], DEFAULT)
    assert (standing.action, standing.attempt) == (Action.BUY, 2)


def test_a_refusal_sticks_to_its_request() -> None:
    refused = attempt(AttemptState.REFUSED, reason="moderation")
    standing = decide([record(Outcome.REFUSED)], [refused], DEFAULT)
    assert (standing.action, standing.outcome, standing.reason) == (Action.KEEP, Outcome.REFUSED, "moderation")


@pytest.mark.parametrize("told", [each for each in ReasonClass if each.concerns_account])
def test_a_refused_account_sticks_to_no_request(told: str) -> None:
    """Rule: after a top-up the rows that met 402 are simply bought, also where an early version recorded `account`."""
    about_account = attempt(AttemptState.REFUSED, reason_class=told)
    assert decide([record(Outcome.REFUSED)], [about_account], DEFAULT).action is Action.BUY


def test_a_failed_job_is_tried_again_until_max_attempts() -> None:
    failures = [attempt(attempt=number, outcome="failed", job_id=f"job-{number}") for number in (1, 2, 3)]
    assert decide([], failures[:2], DEFAULT).attempt == 3
    last = decide([], failures, DEFAULT)
    assert (last.action, last.outcome) == (Action.KEEP, Outcome.FAILED)
    assert "3 times" in (last.reason or "")


@pytest.mark.parametrize("outcome", [Outcome.DAMAGED, Outcome.EXPIRED])
def test_paid_losses_are_bought_again_only_on_the_users_word(outcome: Outcome) -> None:
    told = [attempt(outcome=outcome.value)]
    assert decide([], told, DEFAULT).action is Action.KEEP
    assert decide([], told, Rules(frozenset({outcome}), 1)).action is Action.BUY


@pytest.mark.parametrize(
    "later",
    [attempt(AttemptState.VOID, attempt=2), attempt(AttemptState.REFUSED, attempt=2, reason_class="account")],
    ids=["never taken", "account refused"],
)
@pytest.mark.parametrize(
    "first", [attempt(AttemptState.UNKNOWN), attempt(outcome="damaged")], ids=["unknown", "damaged"]
)
def test_the_users_word_is_for_one_run(first: Attempt, later: Attempt) -> None:
    """Rule: a second purchase that came to nothing is not made by a later run without the word."""
    kept = decide([], [first, later], DEFAULT)
    assert kept.action is Action.KEEP
    assert (kept.outcome, kept.reason) == outcome_now([], [first])[:2]
    assert outcome_now([], [first, later]).outcome is kept.outcome
    again = decide([], [first, later], Rules(RETRYABLE, max_attempts=9))
    assert (again.action, again.attempt) == (Action.BUY, 2 if later.state is AttemptState.VOID else 3)


def test_a_refused_account_counts_for_none_of_the_tries() -> None:
    """Rule: max_attempts counts jobs that failed, not the days on which the account was empty."""
    empty = [attempt(AttemptState.REFUSED, attempt=number, reason_class="account") for number in (2, 3, 4)]
    standing = decide([], [attempt(outcome="failed"), *empty], DEFAULT)
    assert (standing.action, standing.attempt) == (Action.BUY, 5)


_STATES = st.sampled_from(list(AttemptState))
_OUTCOMES = st.sampled_from([None, "pending", "succeeded", "failed", "damaged", "expired"])
# What a ledger may say: a class of the outcome, or none as in parts of early versions.
_CLASSES = {
    outcome: st.sampled_from([None, *(each.value for each in ReasonClass if each.outcome is outcome)])
    for outcome in Outcome
}


@st.composite
def histories(draw: st.DrawFn) -> list[Attempt]:
    """Any ledger of one request."""
    numbers = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4, unique=True))
    return [_any_attempt(draw, number) for number in numbers]


def _any_attempt(draw: st.DrawFn, number: int) -> Attempt:
    state = draw(_STATES)
    outcome = draw(_OUTCOMES) if state is AttemptState.ACCEPTED else None
    job_id = f"job-{number}" if state is AttemptState.ACCEPTED else None
    by_state = {AttemptState.REFUSED: "refused", AttemptState.UNKNOWN: "unknown"}
    told = by_state.get(state, outcome)
    # Of an intent, and of a job whose end was not seen, nothing is known yet.
    reason_class = None if told is None else draw(_CLASSES[Outcome(told)])
    return attempt(state, attempt=number, outcome=outcome, job_id=job_id, reason_class=reason_class)


@given(histories(), st.sets(st.sampled_from(RETRY_WORDS)))
def test_what_may_have_cost_is_never_bought_again_without_the_users_word(
    told: list[Attempt], retry: set[RetryWord]
) -> None:
    """Law: a purchase needs a history without anything out, and no POST that counts, or its outcome or class named."""
    standing = decide([], told, Rules(frozenset(retry), max_attempts=3))
    now = outcome_now([], told)
    if standing.action is not Action.BUY:
        return
    assert not any(each.is_out for each in told)
    about_the_account = now.reason_class is not None and now.reason_class.concerns_account
    assert now.outcome is None or about_the_account or retry & {now.outcome, now.reason_class}


@given(histories())
def test_a_class_is_one_of_its_outcome(told: list[Attempt]) -> None:
    """Law: what is said of a row never contradicts itself."""
    now = outcome_now([], told)
    assert now.reason_class is None or now.reason_class.outcome is now.outcome


@given(histories(), st.sampled_from([each for each in RETRY_WORDS if isinstance(each, ReasonClass)]))
def test_a_class_opens_no_row_that_its_outcome_would_not(told: list[Attempt], word: ReasonClass) -> None:
    """Law: a class is a narrower word than its outcome."""
    by_class = decide([], told, Rules(frozenset({word}), max_attempts=3))
    by_outcome = decide([], told, Rules(frozenset({word.outcome}), max_attempts=3))
    assert by_class.action is not Action.BUY or by_class == by_outcome


@given(histories())
def test_a_purchase_never_reuses_the_number_of_a_post_that_was_taken(told: list[Attempt]) -> None:
    """Law: an attempt number stands for one POST that the provider may have taken."""
    standing = decide([], told, Rules(RETRYABLE, max_attempts=9))
    taken = {each.attempt for each in told if each.may_have_been_sent}
    assert standing.action is not Action.BUY or standing.attempt not in taken


@given(histories(), histories())
def test_merging_is_indifferent_to_order_and_doubles(one: list[Attempt], other: list[Attempt]) -> None:
    """Law: parts may be read in any order, and any number of times."""
    merged = merge_attempts([*one, *other])
    assert merge_attempts([*other, *one, *one]) == merged


def test_every_pair_of_outcome_and_state_has_an_outcome_now() -> None:
    for state, outcome in itertools.product(AttemptState, [None, "failed", "pending"]):
        now = outcome_now([], [attempt(state, outcome=outcome)])
        assert (now.outcome is None) == (state is AttemptState.VOID)
