"""What POSTs cost: as charged where that is known, else between nothing and their bound."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.standing import Action, Rules, decide

__all__ = ["Cost", "Costs", "bound_not_ordered"]

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
        posts, charged, at_most, bound = 0, 0.0, 0.0, 0.0
        for attempt in attempts:
            if attempt.may_have_cost:
                posts += 1
                charged += attempt.credits_charged or 0.0
                at_most += attempt.spent
                bound += attempt.bound
        return cls(posts, charged, at_most, bound)

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.posts + other.posts,
            self.charged + other.charged,
            self.at_most + other.at_most,
            self.bound + other.bound,
        )


@dataclass
class Costs:
    """What POSTs cost in all and by group, counted one by one: a ledger may be longer than the memory."""

    total: Cost = field(default_factory=Cost)
    unknown: Cost = field(default_factory=Cost)
    """Of those of which nobody knows whether they were accepted."""
    overcharges: list[str] = field(default_factory=list)
    _outcomes: dict[str, Cost] = field(default_factory=dict)
    _qualities: dict[str, Cost] = field(default_factory=dict)

    @classmethod
    def of(cls, attempts: Iterable[Attempt]) -> Self:
        """Of those that the provider took or may have taken."""
        costs = cls()
        for attempt in attempts:
            costs.add(attempt)
        return costs

    def add(self, attempt: Attempt) -> None:
        if not attempt.may_have_cost:
            return
        cost = Cost.of([attempt])
        self.total += cost
        self.unknown += cost if attempt.job_id is None else Cost()
        outcome, quality = _outcome(attempt), _quality(attempt)
        self._outcomes[outcome] = self._outcomes.get(outcome, Cost()) + cost
        self._qualities[quality] = self._qualities.get(quality, Cost()) + cost
        if attempt.is_overcharged:
            self.overcharges.append(attempt.overcharge)

    @property
    def by_outcome(self) -> dict[str, Cost]:
        """By what became of each POST so far, in the order of the outcomes."""
        return {each.value: self._outcomes[each.value] for each in Outcome if each.value in self._outcomes}

    @property
    def by_quality(self) -> dict[str, Cost]:
        """By the quality that was asked for: what `auto` did cost shows here."""
        return dict(sorted(self._qualities.items()))


def bound_not_ordered(plan_rows: Path, known: KnownState) -> float:
    """What the rows that a plan wanted to buy, and that nobody has ordered since, may cost in credits."""
    names = ["action", "key", "attempt", "bound"]
    with pq.ParquetFile(plan_rows) as file:
        read = file.iter_batches(columns=names)
        batches = [batch.filter(pc.equal(batch["action"], Action.BUY.value)) for batch in read]
    wanted = pa.Table.from_batches(batches)
    if not wanted.num_rows:
        return 0.0
    # One search for all: each looks at every request that is settled.
    ordered = known.settled.ordered(known.settled.places(wanted["key"]), wanted["attempt"])
    bound = 0.0
    for batch in wanted.filter(pa.array(~ordered)).select(names[1:]).to_batches():
        for key, number, price in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            since = [attempt for attempt in known.unsettled.get(key, ()) if attempt.attempt >= (number or 0)]
            if decide((), since, NO_RETRY).action is Action.BUY:
                bound += price
    return bound


def _outcome(attempt: Attempt) -> str:
    if attempt.state is AttemptState.ACCEPTED:
        return attempt.outcome or Outcome.PENDING.value
    return Outcome.UNKNOWN.value


def _quality(attempt: Attempt) -> str:
    if attempt.request is None:
        return UNRECORDED
    return str(orjson.loads(attempt.request).get("quality", DEFAULT_QUALITY))
