"""How far a run is: counters that the I/O loop writes and whoever draws them reads."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from prefect_trinetra.outcomes import FAILURES, Outcome

__all__ = ["Progress"]


@dataclass
class Progress:
    """Counters of one run in this process; whole-number updates, so a reader in another thread sees true values."""

    rows_to_do: int = 0
    in_flight: int = 0
    submitted: int = 0
    images: int = 0
    credits_charged: float = 0.0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    def begin(self, rows_to_do: int) -> None:
        """The work begins now: what came before it (planning, a person who thinks) counts for no rate."""
        self.rows_to_do = rows_to_do
        self.started = time.monotonic()

    @property
    def done(self) -> int:
        return sum(self.outcomes.values())

    @property
    def failures(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if outcome in FAILURES)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None while nothing is done."""
        if not self.done:
            return None
        return max(0, self.rows_to_do - self.done) * self.seconds / self.done
