"""The rows that failed, as `failures.jsonl`: why, what each may have cost, and how to try it again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pyarrow as pa

from prefect_trinetra.ledger import Attempt
from prefect_trinetra.outcomes import FAILURES, Outcome
from prefect_trinetra.reasons import ReasonClass, remedy
from prefect_trinetra.standing import Told

__all__ = ["FAILURES_FILE", "DeadLetter", "failure_lines"]

FAILURES_FILE: Final = "failures.jsonl"
_PLAN_COLUMNS: Final = ["row", "sample", "source", "key", "prompt", "first_row"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row of the manifest that failed. Credits are those of all its POSTs, and 0 for a row that repeats another.

    `attempt` and `job_id` are those of its latest POST; `retry` is what a person can do about it.
    """

    row: int
    sample: int
    source: str | None
    key: str | None
    attempt: int | None
    job_id: str | None
    outcome: Outcome
    reason_class: ReasonClass | None
    reason: str | None
    prompt: str | None
    duplicate_of: int | None
    credits_at_least: float
    credits_at_most: float
    retry: str

    def to_json(self) -> bytes:
        """One line, without its end."""
        return orjson.dumps(self)


def failure_lines(
    planned: pa.Table, told: Sequence[Told], attempts: Mapping[str, Collection[Attempt]]
) -> Iterator[bytes]:
    """A line for each of the planned rows that counts as a failure. `told` is row by row what became of them."""
    failed = [(position, each) for position, each in enumerate(told) if each.outcome in FAILURES]
    rows = planned.select(_PLAN_COLUMNS).take(pa.array([position for position, _ in failed], pa.int64()))
    for row, (_, each) in zip(rows.to_pylist(), failed, strict=True):
        yield _dead_letter(row, each, attempts.get(row["key"], ())).to_json() + b"\n"


def _dead_letter(row: Mapping[str, Any], told: Told, attempts: Collection[Attempt]) -> DeadLetter:
    latest = max(attempts, key=lambda attempt: (attempt.attempt, attempt.begun_at), default=None)
    outcome = told.outcome or Outcome.INVALID
    paid = attempts if row["first_row"] is None else ()
    return DeadLetter(
        row=row["row"],
        sample=row["sample"],
        source=row["source"],
        key=row["key"],
        attempt=None if latest is None else latest.attempt,
        job_id=None if latest is None else latest.job_id,
        outcome=outcome,
        reason_class=told.reason_class,
        reason=told.reason,
        prompt=row["prompt"],
        duplicate_of=row["first_row"],
        credits_at_least=sum(attempt.credits_charged or 0.0 for attempt in paid),
        credits_at_most=sum(attempt.spent for attempt in paid),
        retry=remedy(outcome, told.reason_class),
    )
