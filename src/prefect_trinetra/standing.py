"""What is to happen with a request, given all that is known of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.reasons import ReasonClass, RetryWord, class_named
from prefect_trinetra.records import Record, standing_record

__all__ = ["Action", "Rules", "Standing", "Told", "decide", "outcome_now"]


NO_ANSWER: Final = "the run ended before the answer to its POST was stored"
NO_END: Final = "the run ended before its job did"


class Action(StrEnum):
    """What a plan does with a row."""

    BUY = "buy"
    COLLECT = "collect"
    KEEP = "keep"
    DUPLICATE = "duplicate"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user allows: which outcomes and classes may be tried again, and how many POSTs a request may have."""

    retry: frozenset[RetryWord]
    max_attempts: int
    honours_idempotency_key: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """The decision about one request: `attempt` is the number of the POST to make, or of the job to collect."""

    action: Action
    outcome: Outcome
    attempt: int = 1
    reason: str | None = None
    job: Attempt | None = None


class Told(NamedTuple):
    """What has become of a request so far, and why; `outcome` is None where no POST of it was ever taken."""

    outcome: Outcome | None
    reason: str | None = None
    reason_class: ReasonClass | None = None


def decide(records: Sequence[Record], attempts: Collection[Attempt], rules: Rules) -> Standing:
    """Kept, collected, or bought (again): a job whose end was not seen is always collected, never submitted again."""
    has_image = bool(records) and standing_record(records).outcome is Outcome.SUCCEEDED
    if job := _job_to_collect(attempts, has_image=has_image):
        return Standing(Action.COLLECT, Outcome.PENDING, job.attempt, "its job is still out", job)
    if has_image:
        return Standing(Action.KEEP, Outcome.SUCCEEDED)
    told = [attempt for attempt in attempts if _is_about_request(attempt)]
    if not told:
        return Standing(Action.BUY, Outcome.PENDING, _next_number(attempts))
    latest = max(told, key=lambda attempt: (attempt.attempt, attempt.begun_at))
    if latest.state in {AttemptState.OPEN, AttemptState.UNKNOWN} and rules.honours_idempotency_key:
        return Standing(Action.BUY, Outcome.PENDING, latest.attempt, "sent again under the same idempotency key")
    return _after(outcome_now(records, [latest]), latest.attempt, attempts, rules)


def _is_about_request(attempt: Attempt) -> bool:
    """Whether it says anything about the request itself: a POST that was not taken, or an account refused, does not."""
    reason_class = class_named(attempt.reason_class)
    return attempt.may_have_been_sent and not (reason_class is not None and reason_class.concerns_account)


def _next_number(attempts: Collection[Attempt]) -> int:
    """The number of a new POST: that of one that was never taken, if it is the last."""
    sent = max((attempt.attempt for attempt in attempts if attempt.may_have_been_sent), default=0)
    return max([sent + 1, *(attempt.attempt for attempt in attempts if not attempt.may_have_been_sent)])


def _job_to_collect(attempts: Collection[Attempt], *, has_image: bool) -> Attempt | None:
    # A success without any record was journaled in part: the job still has the images.
    out = [each for each in attempts if each.is_out or (each.outcome == Outcome.SUCCEEDED and not has_image)]
    return max(out, key=lambda attempt: attempt.attempt, default=None)


def _after(told: Told, number: int, attempts: Collection[Attempt], rules: Rules) -> Standing:
    """The end of a request's last POST that counts: kept, or bought again where the user's word covers it."""
    tried = len({attempt.attempt for attempt in attempts if attempt.may_have_cost})
    outcome, reason = told.outcome or Outcome.PENDING, told.reason
    is_used_up = outcome is Outcome.FAILED and tried >= rules.max_attempts
    if rules.retry & {outcome, told.reason_class} and not is_used_up:
        return Standing(Action.BUY, Outcome.PENDING, _next_number(attempts))
    if is_used_up:
        reason = f"{reason or 'failed'} (tried {tried} times, the most that max_attempts allows)"
    return Standing(Action.KEEP, outcome, number, reason)


def outcome_now(records: Sequence[Record], attempts: Collection[Attempt]) -> Told:
    """What has become of a request so far, and why."""
    if records and standing_record(records).outcome is Outcome.SUCCEEDED:
        return Told(Outcome.SUCCEEDED)
    sent = [attempt for attempt in attempts if attempt.may_have_been_sent]
    told = [attempt for attempt in sent if _is_about_request(attempt)] or sent
    if not told:
        return Told(None)
    return _told_by(max(told, key=lambda attempt: (attempt.is_out, attempt.attempt, attempt.begun_at)))


def _told_by(latest: Attempt) -> Told:
    reason_class = class_named(latest.reason_class)
    match latest.state:
        case AttemptState.REFUSED:
            return Told(Outcome.REFUSED, latest.reason, reason_class)
        case AttemptState.UNKNOWN:
            return Told(Outcome.UNKNOWN, latest.reason or NO_ANSWER, reason_class)
        case AttemptState.OPEN:
            return Told(Outcome.UNKNOWN, NO_ANSWER, ReasonClass.KILLED)
        case AttemptState.ACCEPTED | AttemptState.VOID if latest.outcome is None:
            return Told(Outcome.PENDING, latest.reason or NO_END, ReasonClass.NOT_DONE)
        case AttemptState.ACCEPTED | AttemptState.VOID:
            return Told(Outcome(latest.outcome), latest.reason, reason_class)
