"""How fast to submit, as values: a token bucket, a backoff and a rate that finds its limit. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, Self

__all__ = ["AdaptiveRate", "Backoff", "Phase", "TokenBucket"]


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """At most `burst` tokens that fill at `rate` a second: any t seconds see at most rate * t + burst of them.

    An amount above `burst` waits for a full bucket and leaves a debt: late rather than impossible.
    `updated_at` is when `level` was true, on the caller's clock.
    """

    rate: float
    burst: float
    level: float
    updated_at: float

    @classmethod
    def full(cls, rate: float, burst: float, now: float) -> Self:
        return cls(rate, burst, burst, now)

    def delay(self, now: float, amount: float = 1.0) -> float:
        """Seconds until `amount` may be taken; zero when it may be now."""
        missing = min(amount, self.burst) - self._level(now)
        # Less is rounding, and a sleep too short to move the clock would never end.
        return missing / self.rate if missing > ROUNDING_TOKENS else 0.0

    def take(self, now: float, amount: float = 1.0) -> Self:
        """The bucket after `amount` was taken. Only right when `delay` is zero."""
        return replace(self, level=self._level(now) - amount, updated_at=max(now, self.updated_at))

    def at_rate(self, rate: float, burst: float, now: float) -> Self:
        """The same bucket filling at another rate from now on."""
        return replace(
            self,
            rate=rate,
            burst=burst,
            level=min(burst, self._level(now)),
            updated_at=max(now, self.updated_at),
        )

    def emptied(self, until: float) -> Self:
        """Nothing to spend before `until`, and one token then: what a pause withheld is not saved up for its end."""
        return replace(self, level=min(1.0, self._level(until)), updated_at=max(until, self.updated_at))

    def _level(self, now: float) -> float:
        return min(self.burst, self.level + max(0.0, now - self.updated_at) * self.rate)


ROUNDING_TOKENS: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double from `first_seconds` to `most_seconds`."""

    first_seconds: float
    most_seconds: float
    failures: int = 0

    def seconds(self, chance: float) -> float:
        """The present wait; `chance` in 0..1 spreads it over its upper half."""
        # Past 2**30 times anything the maximum rules; the cap keeps the power from overflowing.
        whole = min(self.most_seconds, self.first_seconds * 2.0 ** min(self.failures, 30))
        return whole * (0.5 + 0.5 * chance)

    def failed(self) -> Self:
        return replace(self, failures=self.failures + 1)

    def succeeded(self) -> Self:
        return replace(self, failures=0)


# Few enough to be forgiven by an API that takes 2 a second, and doubled four times (one second) it is 800.
START_PER_SECOND: Final = 50.0
# Beyond what one process can submit at all.
MOST_PER_SECOND: Final = 10_000.0
# One submission in a minute: slower than that is no rate but a pause, and pauses have their own backoff.
LEAST_PER_SECOND: Final = 1 / 60
# All growth and all cuts are logarithms: 0.26 is a cut to 77 %, and 0.1 a second a growth by a tenth each second.
RAMP_GROWTH: Final = math.log(2) / 0.25
SEARCH_GROWTH: Final = math.log(2) / 5.0
# A limit that grew by half is found within a minute.
SETTLED_GROWTH: Final = 0.0065
# The first 429 says little more than how many were taken until then, a second's worth of saved-up burst among them.
BURST_SECONDS: Final = 2.5
LEAST_SEARCHED_PER_SECOND: Final = 0.5
# A search that doubles every five seconds ends about twice too high.
SEARCH_CUT: Final = 0.8
# Seconds between two 429s: longer from stage to stage, until they are as rare as they shall be.
FIRST_INTERVAL_SECONDS: Final = 6.0
INTERVAL_FACTOR: Final = 2.7
FIRST_CUT: Final = 0.4
CUT_FACTOR: Final = 0.5
LEAST_CUT: Final = 0.05
# Rare for a run that submits few: each 429 is a large part of them. Frequent for one that submits many: runs on one key
# find their shares by meeting them, and to such a run they are no part to speak of.
LONGEST_INTERVAL_SECONDS: Final = 40.0
SHORTEST_INTERVAL_SECONDS: Final = 6.0
INTERVAL_AT_ONE_PER_SECOND: Final = 80.0
# Fewer accepted between two 429s than this: chance (the account's other runs were at it), or a limit far lower.
FEW_ACCEPTED: Final = 4
SOON_CUT_PART: Final = 0.4
SOON_IN_A_ROW: Final = 2
LOWER_LIMIT_CUT: Final = 0.5
# The more in a row, the farther away it is: the second such cut is twice as deep, the third three times.
LOWER_LIMIT_STEPS: Final = 3
# Fewer acceptances than half of what the rate allows mean that it is not used. They are counted until they suffice, or
# so many seconds are over: answers come in batches, since a journal makes several intents durable at once.
USED_PART: Final = 0.5
BATCH_SECONDS: Final = 1.0


class Phase(Enum):
    """How much is known of the limit."""

    RAMPING = "ramping"
    """Nothing: the rate doubles every quarter second until the first 429."""
    SEARCHING = "searching"
    """About how much was taken: it doubles every five seconds until the next."""
    PROBING = "probing"
    """About where it is: it is met again and again, more seldom from stage to stage."""


@dataclass(frozen=True, slots=True)
class AdaptiveRate:
    """Submissions a second towards an unknown limit. All times are in seconds, on the caller's clock.

    The rate grows with the time during which it is used, and each 429 cuts it by a part: a run that has more than its
    share meets more 429s, so runs on one key come to equal shares without a word.
    Answers to what was sent before the last 429 that counted belong to the burst that caused it.
    """

    rate: float = START_PER_SECOND
    phase: Phase = Phase.RAMPING
    stage: int = 0
    begun_at: float = 0.0
    grown_at: float = 0.0
    """Until when it is settled whether the rate was used."""
    grown_from: int = 0
    """What `accepted` was then."""
    limited_at: float = 0.0
    """When the last 429 that counted came, or the start."""
    accepted: int = 0
    """Since then."""
    soon: int = 0
    """How many 429s in a row came after few acceptances."""

    @classmethod
    def starting(cls, now: float) -> Self:
        return cls(begun_at=now, grown_at=now, limited_at=now)

    @property
    def interval(self) -> float:
        """Seconds that are to lie between two 429s in this stage."""
        return min(_settled_interval(self.rate), FIRST_INTERVAL_SECONDS * INTERVAL_FACTOR**self.stage)

    @property
    def cut(self) -> float:
        """What a 429 takes from the rate's logarithm in this stage."""
        settled = max(LEAST_CUT, SETTLED_GROWTH * _settled_interval(self.rate))
        return max(settled, FIRST_CUT * CUT_FACTOR**self.stage)

    @property
    def growth(self) -> float:
        """By what the rate's logarithm grows in a second that is used."""
        match self.phase:
            case Phase.RAMPING:
                return RAMP_GROWTH
            case Phase.SEARCHING:
                return SEARCH_GROWTH
            case Phase.PROBING:
                return self.cut / self.interval

    @property
    def is_settled(self) -> bool:
        """Whether 429s are as rare as they shall be."""
        return self.phase is Phase.PROBING and self.interval >= _settled_interval(self.rate)

    def after_accepted(self, now: float, sent_at: float) -> Self:
        """One submission that was sent at `sent_at` was accepted."""
        if sent_at < self.limited_at:
            return self
        accepted = self.accepted + 1
        gap = now - self.grown_at
        if gap > max(BATCH_SECONDS, 1 / (USED_PART * self.rate)):
            return replace(self, grown_at=now, grown_from=accepted, accepted=accepted)
        if accepted - self.grown_from < USED_PART * self.rate * gap:
            return replace(self, accepted=accepted)
        rate = min(MOST_PER_SECOND, self.rate * min(2.0, math.exp(self.growth * gap)))
        return replace(self, rate=rate, grown_at=now, grown_from=accepted, accepted=accepted)

    def after_limited(self, now: float, sent_at: float) -> Self:
        """One submission that was sent at `sent_at` was answered with 429."""
        if sent_at < self.limited_at:
            return self
        after = self._after_probe() if self.phase is Phase.PROBING else self._after_first(now)
        rate = max(LEAST_PER_SECOND, after.rate)
        return replace(after, rate=rate, grown_at=now, grown_from=0, limited_at=now, accepted=0)

    def _after_first(self, now: float) -> Self:
        if self.phase is Phase.SEARCHING:
            return self._cut_by(SEARCH_CUT, phase=Phase.PROBING)
        taken = self.accepted / (BURST_SECONDS + now - self.begun_at)
        return replace(self, rate=min(self.rate, max(LEAST_SEARCHED_PER_SECOND, taken)), phase=Phase.SEARCHING)

    def _after_probe(self) -> Self:
        if self.accepted >= FEW_ACCEPTED:
            return self._cut_by(self.cut, stage=self.stage if self.is_settled else self.stage + 1, soon=0)
        if self.soon + 1 >= SOON_IN_A_ROW:
            part = LOWER_LIMIT_CUT * min(LOWER_LIMIT_STEPS, self.soon + 2 - SOON_IN_A_ROW)
            return self._cut_by(part, stage=max(0, self.stage - 1), soon=self.soon + 1)
        return self._cut_by(0.0 if self.is_settled else SOON_CUT_PART * self.cut, soon=self.soon + 1)

    def _cut_by(self, part: float, **changes: Any) -> Self:
        return replace(self, rate=self.rate * math.exp(-part), **changes)


def _settled_interval(rate: float) -> float:
    seconds = INTERVAL_AT_ONE_PER_SECOND / math.sqrt(rate)
    return min(LONGEST_INTERVAL_SECONDS, max(SHORTEST_INTERVAL_SECONDS, seconds))
