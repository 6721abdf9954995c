"""What a plan counts while rows go by."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import QualityTotals
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.standing import Action

__all__ = ["PlanTotals"]

EXAMPLES: Final = 5


@dataclass
class _ToBuy:
    """Rows to buy of one quality; bounds are credits."""

    rows: int = 0
    images: int = 0
    bound: float = 0.0


@dataclass
class PlanTotals:
    """Counters of a plan in the making. Rows are counted once each, samples included; credits are bounds."""

    rows: int = 0
    actions: Counter[Action] = field(default_factory=Counter)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    kept: Counter[Outcome] = field(default_factory=Counter)
    images: int = 0
    unknown_at_most: float = 0.0
    collect_at_most: float = 0.0
    left_behind: int = 0
    settled: int = 0
    """Rows that are kept since they succeeded, and need no other count: the most, in a rerun."""
    _fitting: defaultdict[str, _ToBuy] = field(default_factory=lambda: defaultdict(_ToBuy))
    _over_cap: defaultdict[str, _ToBuy] = field(default_factory=lambda: defaultdict(_ToBuy))
    _first_duplicates: list[str] = field(default_factory=list)
    _first_invalid: list[str] = field(default_factory=list)

    def invalid(self, number: int, source: str | None, error: str | None) -> None:
        self.actions[Action.INVALID] += 1
        self.outcomes[Outcome.INVALID] += 1
        if len(self._first_invalid) < EXAMPLES:
            self._first_invalid.append(f"row {number} ({source}): {error}")

    def duplicate(self, number: int, first_row: int, outcome: Outcome) -> None:
        self.actions[Action.DUPLICATE] += 1
        self.outcomes[outcome] += 1
        if len(self._first_duplicates) < EXAMPLES:
            self._first_duplicates.append(f"row {number} asks for the same as row {first_row}")

    def keep(self, outcome: Outcome, attempts: Iterable[Attempt]) -> None:
        """A row that is kept as it is, with all that was tried for it."""
        self.kept[outcome] += 1
        unanswered = {AttemptState.OPEN, AttemptState.UNKNOWN}
        self.unknown_at_most += sum(attempt.spent for attempt in attempts if attempt.state in unanswered)

    def priced(self, request: ImageRequest, bound: float, *, fits: bool) -> None:
        """A row to buy, and whether the cap still covers it."""
        to_buy = (self._fitting if fits else self._over_cap)[request.quality]
        to_buy.rows += 1
        to_buy.images += request.n
        to_buy.bound += bound
        self.images += request.n if fits else 0

    @property
    def kept_rows(self) -> Counter[Outcome]:
        return self.kept + Counter({Outcome.SUCCEEDED: self.settled})

    @property
    def outcome_rows(self) -> Counter[Outcome]:
        return self.outcomes + Counter({Outcome.SUCCEEDED: self.settled})

    def by_quality(self) -> dict[str, QualityTotals]:
        return {quality: self._quality(quality) for quality in sorted({*self._fitting, *self._over_cap})}

    def _quality(self, quality: str) -> QualityTotals:
        fitting, over_cap = self._fitting[quality], self._over_cap[quality]
        return QualityTotals(fitting.rows, fitting.images, fitting.bound, over_cap.rows, over_cap.bound)

    def remarks(self) -> tuple[str, ...]:
        remarks = [*self._first_invalid, *self._first_duplicates]
        if self.actions[Action.DUPLICATE]:
            remarks.append("duplicates are bought once; for several pictures of one prompt ask for samples")
        if self.left_behind:
            remarks.append(
                f"{self.left_behind} jobs of rows that the manifest has no more are collected too: their images are "
                "kept for a manifest that asks for them again"
            )
        return tuple(remarks)
