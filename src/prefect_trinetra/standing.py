"""What is to happen with a request, given all that is known of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prefect_trinetra.ledger import ACCOUNT_CLASS, Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.records import Record, standing_record

__all__ = ["Action", "Rules", "Standing", "decide", "outcome_now"]


NO_ANSWER: Final = "the run ended before the answer to its POST was stored"


class Action(StrEnum):
    """What a plan does with a row."""

    BUY = "buy"
    COLLECT = "collect"
    KEEP = "keep"
    DUPLICATE = "duplicate"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user allows: which outcomes may be tried again, and how many POSTs a request may have in all."""

    retry: frozenset[Outcome]
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
    outcome, reason = outcome_now(records, [latest])
    return _after(outcome or Outcome.PENDING, latest.attempt, reason, attempts, rules)


def _is_about_request(attempt: Attempt) -> bool:
    """Whether it says anything about the request itself: a POST that was not taken, or an account refused, does not."""
    return attempt.may_have_been_sent and attempt.reason_class != ACCOUNT_CLASS


def _next_number(attempts: Collection[Attempt]) -> int:
    """The number of a new POST: that of one that was never taken, if it is the last."""
    sent = max((attempt.attempt for attempt in attempts if attempt.may_have_been_sent), default=0)
    return max([sent + 1, *(attempt.attempt for attempt in attempts if not attempt.may_have_been_sent)])


def _job_to_collect(attempts: Collection[Attempt], *, has_image: bool) -> Attempt | None:
    # A success without any record was journaled in part: the job still has the images.
    out = [each for each in attempts if each.is_out or (each.outcome == Outcome.SUCCEEDED and not has_image)]
    return max(out, key=lambda attempt: attempt.attempt, default=None)


def _after(outcome: Outcome, number: int, reason: str | None, attempts: Collection[Attempt], rules: Rules) -> Standing:
    """The end of a request's last POST that counts: kept, or bought again where the user's word covers it."""
    tried = len({attempt.attempt for attempt in attempts if attempt.may_have_cost})
    is_used_up = outcome is Outcome.FAILED and tried >= rules.max_attempts
    if outcome in rules.retry and not is_used_up:
        return Standing(Action.BUY, Outcome.PENDING, _next_number(attempts))
    if is_used_up:
        reason = f"{reason or 'failed'} (tried {tried} times, the most that max_attempts allows)"
    return Standing(Action.KEEP, outcome, number, reason)


def outcome_now(records: Sequence[Record], attempts: Collection[Attempt]) -> tuple[Outcome | None, str | None]:
    """What has become of a request so far, and why; None where no POST of it was ever taken."""
    if records and standing_record(records).outcome is Outcome.SUCCEEDED:
        return Outcome.SUCCEEDED, None
    sent = [attempt for attempt in attempts if attempt.may_have_been_sent]
    told = [attempt for attempt in sent if _is_about_request(attempt)] or sent
    if not told:
        return None, None
    latest = max(told, key=lambda attempt: (attempt.is_out, attempt.attempt, attempt.begun_at))
    match latest.state:
        case AttemptState.REFUSED:
            return Outcome.REFUSED, latest.reason
        case AttemptState.OPEN | AttemptState.UNKNOWN:
            return Outcome.UNKNOWN, latest.reason or NO_ANSWER
        case AttemptState.ACCEPTED | AttemptState.VOID:
            return Outcome(latest.outcome or Outcome.PENDING), latest.reason
