"""What is to happen with a request, given all that is known of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.records import Record, standing_record

__all__ = ["ACCOUNT_CLASS", "Action", "Rules", "Standing", "decide", "outcome_now"]

# The reason class of a refusal that concerned the account: other rows would have fared the same, so it sticks to none.
ACCOUNT_CLASS: Final = "account"

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


NEW: Final = Standing(Action.BUY, Outcome.PENDING)


def decide(records: Sequence[Record], attempts: Collection[Attempt], rules: Rules) -> Standing:
    """Kept, collected, or bought (again): a job whose end was not seen is always collected, never submitted again."""
    has_image = bool(records) and standing_record(records).outcome is Outcome.SUCCEEDED
    if job := _job_to_collect(attempts, has_image=has_image):
        return Standing(Action.COLLECT, Outcome.PENDING, job.attempt, "its job is still out", job)
    if has_image:
        return Standing(Action.KEEP, Outcome.SUCCEEDED)
    if not attempts:
        return NEW
    latest = max(attempts, key=lambda attempt: (attempt.attempt, attempt.begun_at))
    match latest.state:
        case AttemptState.VOID:
            return Standing(Action.BUY, Outcome.PENDING, latest.attempt)
        case AttemptState.REFUSED:
            return _after_refusal(latest, records, rules)
        case AttemptState.OPEN | AttemptState.UNKNOWN:
            return _after_unknown(latest, rules)
        case AttemptState.ACCEPTED:
            return _after_job(latest, attempts, rules)


def _job_to_collect(attempts: Collection[Attempt], *, has_image: bool) -> Attempt | None:
    # A success without any record was journaled in part: the job still has the images.
    out = [each for each in attempts if each.is_out or (each.outcome == Outcome.SUCCEEDED and not has_image)]
    return max(out, key=lambda attempt: attempt.attempt, default=None)


def _after_refusal(latest: Attempt, records: Sequence[Record], rules: Rules) -> Standing:
    about_account = any(record.reason_class == ACCOUNT_CLASS for record in records)
    if about_account or Outcome.REFUSED in rules.retry:
        return Standing(Action.BUY, Outcome.PENDING, latest.attempt + 1)
    return Standing(Action.KEEP, Outcome.REFUSED, latest.attempt, latest.reason)


def _after_unknown(latest: Attempt, rules: Rules) -> Standing:
    if rules.honours_idempotency_key:
        return Standing(Action.BUY, Outcome.PENDING, latest.attempt, "sent again under the same idempotency key")
    if Outcome.UNKNOWN in rules.retry:
        return Standing(Action.BUY, Outcome.PENDING, latest.attempt + 1)
    return Standing(Action.KEEP, Outcome.UNKNOWN, latest.attempt, latest.reason or NO_ANSWER)


def _after_job(latest: Attempt, attempts: Collection[Attempt], rules: Rules) -> Standing:
    outcome = Outcome(latest.outcome or Outcome.PENDING)
    tried = len({attempt.attempt for attempt in attempts if attempt.state is not AttemptState.VOID})
    if outcome in rules.retry and (outcome is not Outcome.FAILED or tried < rules.max_attempts):
        return Standing(Action.BUY, Outcome.PENDING, latest.attempt + 1)
    reason = latest.reason
    if outcome is Outcome.FAILED and tried >= rules.max_attempts:
        reason = f"{reason or 'failed'} (tried {tried} times, the most that max_attempts allows)"
    return Standing(Action.KEEP, outcome, latest.attempt, reason)


def outcome_now(records: Sequence[Record], attempts: Collection[Attempt]) -> tuple[Outcome | None, str | None]:
    """What has become of a request so far, and why; None where no POST of it was ever taken."""
    if records and standing_record(records).outcome is Outcome.SUCCEEDED:
        return Outcome.SUCCEEDED, None
    told = [attempt for attempt in attempts if attempt.state is not AttemptState.VOID]
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
