"""What POSTs cost: as charged where that is known, else between nothing and their bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import orjson
import pyarrow.parquet as pq

from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.standing import Action, Rules, decide

__all__ = ["Cost", "bound_not_ordered", "cost_by_outcome", "cost_by_quality"]

DEFAULT_QUALITY: Final = ImageRequest.model_fields["quality"].default
# An answer that was brought back without its intent: what it was for is lost.
UNRECORDED: Final = "unrecorded"
NO_RETRY: Final = Rules(frozenset(), max_attempts=1)


@dataclass(frozen=True, slots=True)
class Cost:
    """What some POSTs cost together, in credits: at least `charged`, and `at_most` that and what is not known.

    `bound` is what they counted as when they were let in. Certainty is `charged == at_most`.
    """

    posts: int = 0
    charged: float = 0.0
    at_most: float = 0.0
    bound: float = 0.0

    @classmethod
    def of(cls, attempts: Iterable[Attempt]) -> Self:
        """Of those that the provider took or may have taken."""
        taken = [attempt for attempt in attempts if attempt.may_have_cost]
        return cls(
            posts=len(taken),
            charged=sum(attempt.credits_charged or 0.0 for attempt in taken),
            at_most=sum(attempt.spent for attempt in taken),
            bound=sum(attempt.bound for attempt in taken),
        )

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.posts + other.posts,
            self.charged + other.charged,
            self.at_most + other.at_most,
            self.bound + other.bound,
        )


def cost_by_outcome(attempts: Iterable[Attempt]) -> dict[str, Cost]:
    """By what became of each POST so far, in the order of the outcomes."""
    costs = _grouped(attempts, _outcome)
    return {outcome.value: costs[outcome.value] for outcome in Outcome if outcome.value in costs}


def cost_by_quality(attempts: Iterable[Attempt]) -> dict[str, Cost]:
    """By the quality that was asked for: what `auto` did cost shows here."""
    return dict(sorted(_grouped(attempts, _quality).items()))


def bound_not_ordered(plan_rows: Path, known: KnownState) -> float:
    """What the rows that a plan wanted to buy, and that nobody has ordered since, may cost in credits."""
    attempts: dict[str, list[Attempt]] = {}
    for attempt in known.ledger():
        attempts.setdefault(attempt.key, []).append(attempt)
    bound = 0.0
    with pq.ParquetFile(plan_rows) as file:
        for batch in file.iter_batches(columns=["action", "key", "attempt", "bound"]):
            for action, key, number, price in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                since = [attempt for attempt in attempts.get(key, ()) if attempt.attempt >= (number or 0)]
                if action == Action.BUY and decide((), since, NO_RETRY).action is Action.BUY:
                    bound += price
    return bound


def _grouped(attempts: Iterable[Attempt], name: Callable[[Attempt], str]) -> dict[str, Cost]:
    groups: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        if attempt.may_have_cost:
            groups.setdefault(name(attempt), []).append(attempt)
    return {group: Cost.of(members) for group, members in groups.items()}


def _outcome(attempt: Attempt) -> str:
    if attempt.state is AttemptState.ACCEPTED:
        return attempt.outcome or Outcome.PENDING.value
    return Outcome.UNKNOWN.value


def _quality(attempt: Attempt) -> str:
    if attempt.request is None:
        return UNRECORDED
    return str(orjson.loads(attempt.request).get("quality", DEFAULT_QUALITY))
