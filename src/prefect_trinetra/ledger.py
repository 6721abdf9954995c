"""The ledger: every POST ever begun, what became of it, and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import pyarrow as pa

from prefect_trinetra.outcomes import Outcome

__all__ = [
    "ATTEMPT_SCHEMA",
    "CREDIT_GRAIN",
    "Attempt",
    "AttemptState",
    "attempts_table",
    "merge_attempts",
    "read_attempts",
]

# Floats add up: a cap of 21 covers three bounds of 7 whatever was added before.
CREDIT_GRAIN: Final = 1e-6


class AttemptState(StrEnum):
    """What is known of one POST."""

    OPEN = "open"
    """An intent without an answer: the process died, or is still at it."""
    VOID = "void"
    """Certainly not accepted: it cost nothing and the same attempt may be sent again."""
    ACCEPTED = "accepted"
    """The provider gave a job id."""
    REFUSED = "refused"
    """The provider said no: it cost nothing."""
    UNKNOWN = "unknown"
    """The answer does not say: it counts as spent."""


# Where two accounts of one POST without a job differ, the one that may have cost something stands.
_FEAR: Final[Mapping[AttemptState, int]] = {
    AttemptState.VOID: 0,
    AttemptState.REFUSED: 1,
    AttemptState.OPEN: 2,
    AttemptState.UNKNOWN: 3,
    AttemptState.ACCEPTED: 4,
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST. Times are seconds since the epoch; `bound` and `credits_charged` are credits."""

    key: str
    attempt: int
    sample: int
    run_id: str
    plan_id: str
    shard: str
    writer: str
    state: AttemptState
    bound: float
    begun_at: float
    job_id: str | None = None
    reason: str | None = None
    answered_at: float | None = None
    finished_at: float | None = None
    outcome: str | None = None
    credits_charged: float | None = None
    reason_class: str | None = None
    """A ReasonClass, None in parts of early versions; not one by type, since a later version may know more of them."""
    request: str | None = None
    """The request as JSON, its image_url without a query: enough to collect the job when its plan is long gone."""

    @property
    def spent(self) -> float:
        """What this POST counts as against a cap: what was charged where that is known, else its bound."""
        match self.state:
            case AttemptState.VOID | AttemptState.REFUSED:
                return 0.0
            case AttemptState.OPEN | AttemptState.UNKNOWN:
                return self.bound
            case AttemptState.ACCEPTED:
                if self.credits_charged is not None:
                    return self.credits_charged
                return 0.0 if self.outcome == Outcome.FAILED else self.bound

    @property
    def last_told_at(self) -> float:
        """When the last thing that is known of it happened."""
        return self.finished_at or self.answered_at or self.begun_at

    @property
    def is_overcharged(self) -> bool:
        """Whether more was charged than its bound said."""
        return self.credits_charged is not None and self.credits_charged > self.bound + CREDIT_GRAIN

    @property
    def overcharge(self) -> str:
        """An overcharge in words."""
        return f"job {self.job_id} was charged {self.credits_charged:g} credits, its bound was {self.bound:g}"

    @property
    def may_have_cost(self) -> bool:
        """Whether the provider took this POST, or may have."""
        return self.state not in {AttemptState.VOID, AttemptState.REFUSED}

    @property
    def may_have_been_sent(self) -> bool:
        """Whether anything can have come of this POST, a refusal included."""
        return self.state is not AttemptState.VOID

    @property
    def is_out(self) -> bool:
        """Whether its job was accepted and its end has not been seen."""
        return self.state is AttemptState.ACCEPTED and self.outcome in {None, Outcome.PENDING}


ATTEMPT_SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),
        ("attempt", pa.int32()),
        ("sample", pa.int32()),
        ("run_id", pa.string()),
        ("plan_id", pa.string()),
        ("shard", pa.string()),
        ("writer", pa.string()),
        ("state", pa.string()),
        ("bound", pa.float64()),
        ("begun_at", pa.float64()),
        ("job_id", pa.string()),
        ("reason", pa.string()),
        ("answered_at", pa.float64()),
        ("finished_at", pa.float64()),
        ("outcome", pa.string()),
        ("credits_charged", pa.float64()),
        ("reason_class", pa.string()),
        ("request", pa.string()),
    ]
)


def attempts_table(attempts: Iterable[Attempt]) -> pa.Table:
    """Attempts as a table of ATTEMPT_SCHEMA."""
    listed = list(attempts)
    columns = [pa.array([getattr(attempt, field.name) for attempt in listed], field.type) for field in ATTEMPT_SCHEMA]
    return pa.Table.from_arrays(columns, schema=ATTEMPT_SCHEMA)


def read_attempts(table: pa.Table) -> Iterable[Attempt]:
    """The attempts of a table; columns that a later version added are left out."""
    names = [name for name in ATTEMPT_SCHEMA.names if name in table.column_names]
    for values in zip(*(table.column(name).to_pylist() for name in names), strict=True):
        fields: dict[str, Any] = dict(zip(names, values, strict=True))
        yield Attempt(**(fields | {"state": AttemptState(fields["state"])}))


def merge_attempts(attempts: Iterable[Attempt]) -> dict[tuple[str, int], list[Attempt]]:
    """One ledger from many parts, in any order: by (key, attempt), each job once.

    The same POST may be told of several times (a part written twice, half of a journal beside the part made of it, a
    job collected by a later run). Of one writer's accounts the latest stands: it knows its own answers. Between
    writers a job beats an account without one, and of two others the one stands that may have cost more.
    """
    merged: dict[tuple[str, int], dict[tuple[str, str], Attempt]] = {}
    for attempt in attempts:
        accounts = merged.setdefault((attempt.key, attempt.attempt), {})
        name = (attempt.job_id or "", attempt.writer)
        known = accounts.get(name)
        accounts[name] = attempt if known is None else _joined(known, attempt, _lateness)
    return {name: _told(accounts.values()) for name, accounts in merged.items()}


def _told(accounts: Iterable[Attempt]) -> list[Attempt]:
    jobs: dict[str, Attempt] = {}
    for attempt in accounts:
        known = jobs.get(attempt.job_id or "")
        jobs[attempt.job_id or ""] = attempt if known is None else _joined(known, attempt, _knowledge)
    intent = jobs.pop("", None) if len(jobs) > 1 else None
    told = [attempt for _, attempt in sorted(jobs.items())]
    # Of an answer without its intent the request is missing: only the intent carries it.
    return told if intent is None else [replace(each, request=each.request or intent.request) for each in told]


def _joined(one: Attempt, other: Attempt, order: Callable[[Attempt], tuple[object, ...]]) -> Attempt:
    rest, best = sorted((one, other), key=order)
    charged = rest.credits_charged if best.credits_charged is None else best.credits_charged
    return replace(best, credits_charged=charged, request=best.request or rest.request)


def _knowledge(attempt: Attempt) -> tuple[object, ...]:
    return (_FEAR[attempt.state], *_lateness(attempt))


def _lateness(attempt: Attempt) -> tuple[object, ...]:
    return (
        attempt.outcome not in {None, Outcome.PENDING},
        attempt.last_told_at,
        # Only so that the order of the parts never matters.
        _FEAR[attempt.state],
        attempt.writer,
        attempt.outcome or "",
        attempt.reason or "",
        attempt.reason_class or "",
        attempt.credits_charged or 0.0,
    )
