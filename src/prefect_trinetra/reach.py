"""How many looks at once the status endpoint bears: all when it answers, one when it does not. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Self

from prefect_trinetra.rates import Backoff

__all__ = ["Reach"]

# So many looks in a row without an answer are no longer about single jobs.
OUTAGE_FAILURES: Final = 8
FIRST_PAUSE_SECONDS: Final = 1.0
# After an outage the first answer is had within this time, and every job's soon after.
LONGEST_PAUSE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Reach:
    """How many looks may be under way at once: `most`, or one where the last eight got no answer.

    Each answer then allows one more.

    So an outage costs a look every ten seconds however many jobs wait, and its end brings no storm.
    """

    most: int
    at_once: int
    failures: int = 0
    backoff: Backoff = field(default=Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))

    @classmethod
    def whole(cls, most: int) -> Self:
        return cls(most, most)

    @property
    def is_out(self) -> bool:
        """Whether the endpoint seems to be out: one look at a time then tells when it is back."""
        return self.failures >= OUTAGE_FAILURES

    def pause_seconds(self, chance: float) -> float:
        """How long nobody looks after one more failure; `chance` in 0..1 spreads it."""
        return self.backoff.seconds(chance) if self.is_out else 0.0

    def answered(self) -> Self:
        """After a look that got an answer, whatever it said."""
        return replace(self, at_once=min(self.most, self.at_once + 1), failures=0, backoff=self.backoff.succeeded())

    def failed(self, *, alone: bool) -> Self:
        """After a look that got none; `alone` says that no other is under way."""
        failures = self.failures + 1
        if failures < OUTAGE_FAILURES:
            return replace(self, failures=failures)
        # Those that left together fail together, which is one sign and not many.
        backoff = self.backoff.failed() if alone else self.backoff
        return replace(self, at_once=1, failures=failures, backoff=backoff)
