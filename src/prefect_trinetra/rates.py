"""How fast to submit, as values: a token bucket, a backoff and a rate that finds its limit. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

__all__ = ["AdaptiveRate", "Backoff", "TokenBucket"]


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
        """Nothing to spend before `until`: what a pause withheld is not saved up for its end."""
        return replace(self, level=min(0.0, self._level(until)), updated_at=max(until, self.updated_at))

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
DOUBLING_SECONDS: Final = 0.25
# Beyond what one process can submit at all.
MOST_PER_SECOND: Final = 10_000.0
# One submission in a minute: slower than that is no rate but a pause, and pauses have their own backoff.
LEAST_PER_SECOND: Final = 1 / 60
# Who uses less of the rate learns nothing about the limit. An answer that takes a while is no idleness, so it is
# not more; and what was used is judged over at most this time, so that a pause of the submitters is forgotten.
LEAST_USE: Final = 0.25
USE_SECONDS: Final = 5.0
# A cut this long after the last one means that probing found the limit; a sooner one, that the limit is lower still.
SETTLED_SECONDS: Final = 10.0
# Servers let about a second's worth through above their limit before they say no, and rising RISE_PER_SECOND that
# takes eight seconds: by then the rate is a quarter too high.
OVERSHOOT: Final = 0.8
# One cut leaves at least this part, since few acceptances in little time say little about the rate.
DEEPEST_CUT: Final = 0.3
# Just below what was granted, so that the limit is not hit again at once.
BELOW_LIMIT: Final = 0.97
# A 429 for every probe: at 2/s one in 40 s is about one in a hundred submissions. A limit that grew by half is still
# found within a minute.
HOLD_SECONDS: Final = 40.0
HOLD_UNSETTLED_SECONDS: Final = 3.0
RISE_PER_SECOND: Final = 1.03


@dataclass(frozen=True, slots=True)
class AdaptiveRate:
    """Submissions a second towards an unknown limit. All times are in seconds, on the caller's clock.

    Until the first 429 the rate doubles, at most every quarter second and only while acceptances show that it is in
    use. A 429 cuts it to what was granted since the last cut; then it is held, and after that raised by 3 % a second
    until the next. Answers to what was sent before the last cut belong to the burst that caused it.
    """

    rate: float = START_PER_SECOND
    changed_at: float = 0.0
    accepted_since_change: int = 0
    cut_at: float = 0.0
    """The last cut, or the start where there was none."""
    accepted_since_cut: int = 0
    settled: bool = False
    ramping: bool = True

    @classmethod
    def starting(cls, now: float) -> Self:
        return cls(changed_at=now, cut_at=now)

    def after_accepted(self, now: float, sent_at: float) -> Self:
        """One submission that was sent at `sent_at` was accepted."""
        counted = replace(
            self,
            accepted_since_change=self.accepted_since_change + (sent_at >= self.changed_at),
            accepted_since_cut=self.accepted_since_cut + 1,
        )
        factor = _growth(counted, now)
        if factor == 1.0 and now - self.changed_at < USE_SECONDS:
            return counted
        rate = min(MOST_PER_SECOND, self.rate * factor)
        return replace(counted, rate=rate, changed_at=now, accepted_since_change=0)

    def after_limited(self, now: float, sent_at: float) -> Self:
        """One submission that was sent at `sent_at` was answered with 429."""
        if sent_at < self.cut_at:
            return self
        settled = not self.ramping and now - self.cut_at >= SETTLED_SECONDS
        limit = min(self.rate, _limit(self, now, settled=settled))
        return replace(
            self,
            rate=max(LEAST_PER_SECOND, BELOW_LIMIT * limit),
            changed_at=now,
            accepted_since_change=0,
            cut_at=now,
            accepted_since_cut=0,
            settled=settled,
            ramping=False,
        )


def _growth(adaptive: AdaptiveRate, now: float) -> float:
    """The factor by which the rate may grow now: 1 while it is held, or hardly used."""
    elapsed = now - adaptive.changed_at
    if adaptive.accepted_since_change < adaptive.rate * elapsed * LEAST_USE:
        return 1.0
    if adaptive.ramping:
        return 2.0 if elapsed >= DOUBLING_SECONDS else 1.0
    held_until = adaptive.cut_at + (HOLD_SECONDS if adaptive.settled else HOLD_UNSETTLED_SECONDS)
    rising = now - max(held_until, adaptive.changed_at)
    # An idle minute must not end in a leap, and between two acceptances at a slow rate much time may lie.
    rising = min(rising, max(USE_SECONDS, 1 / adaptive.rate))
    return min(2.0, RISE_PER_SECOND**rising) if rising > 0 else 1.0


def _limit(adaptive: AdaptiveRate, now: float, *, settled: bool) -> float:
    granted = adaptive.accepted_since_cut / max(now - adaptive.cut_at, 1e-3)
    if settled:
        return max(granted, OVERSHOOT * adaptive.rate)
    return max(DEEPEST_CUT * adaptive.rate, min(granted, OVERSHOOT * adaptive.rate))
