"""When the next submission may leave: one pacer per process and account, and a limit on what is in flight."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol

from prefect_trinetra.clock import Clock, MonotonicClock
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.rates import AdaptiveRate, Backoff, TokenBucket

__all__ = ["InFlight", "Pacer", "Share", "SharedRate"]

# Servers commonly allow one second's worth at once. Staying a fifth below it keeps a fifth of a second of
# network jitter from looking like too much.
KNOWN_BURST_SECONDS: Final = 0.8
# Enough to ride over a busy event loop, too little to matter to a limit that is not known yet.
ADAPTIVE_BURST_SECONDS: Final = 0.05
# A server's hint beats our backoff, but a wrong date must not stop a run for hours.
LONGEST_HINT_SECONDS: Final = 300.0
FIRST_BACKOFF_SECONDS: Final = 1.0
# How long who waits for a slow rate may go on waiting for nothing.
STOP_CHECK_SECONDS: Final = 1.0
LONGEST_BACKOFF_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a shared rate: so many submissions, to be sent at `per_second`; or none, and when to ask again."""

    submissions: int
    per_second: float
    wait_seconds: float = 0.0


class SharedRate(Protocol):
    """A rate that several processes share, kept where all of them can ask for a part of it."""

    name: str

    async def lease(self, submissions: int) -> Share:
        """A part of at most so many submissions. To ask is dear, so parts are large."""


class Pacer:
    """Admits submissions at a known rate, or finds the rate where none is given. All times are in seconds.

    With a shared rate a submission takes a place in a part that was leased of it, too. Submissions are admitted in the
    order they asked. Used from one event loop.
    """

    def __init__(
        self,
        *,
        submits_per_minute: float | None = None,
        images_per_minute: float | None = None,
        shared: SharedRate | None = None,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock or MonotonicClock()
        self._chance = chance
        self._turn = asyncio.Lock()
        now = self._clock.now()
        self._adaptive = AdaptiveRate.starting(now) if submits_per_minute is None else None
        self._submits = (
            _adaptive_bucket(AdaptiveRate.starting(now), now)
            if submits_per_minute is None
            else _known_bucket("submits_per_minute", submits_per_minute, now)
        )
        self._images = None if images_per_minute is None else _known_bucket("images_per_minute", images_per_minute, now)
        self._backoff = Backoff(FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS)
        self._paused_at = now
        self._paused_until = now
        self._shared = shared
        self._spread: TokenBucket | None = None
        self._left = 0
        self._asked = 0
        self._ask_again_at = now
        self._in_line = 0

    @property
    def submits_per_second(self) -> float:
        """The rate of submissions that is allowed at present."""
        return self._submits.rate

    async def admit(self, images: int = 1) -> float:
        """Wait until a submission of `images` images may leave; returns that moment (see `pause`, `accepted`)."""
        while (admitted_at := await self.admit_unless(lambda: False, images)) is None:
            pass
        return admitted_at

    async def admit_unless(self, stopped: Callable[[], bool], images: int = 1) -> float | None:
        """The same, or None within a second after `stopped()` has become true."""
        self._in_line += 1
        try:
            async with self._turn:
                while not stopped():
                    if (delay := await self._share_delay() or self._delay(images)) <= 0:
                        return self._take(images)
                    await self._clock.sleep(min(delay, STOP_CHECK_SECONDS))
                return None
        finally:
            self._in_line -= 1

    def pause(self, seconds: float | None, *, admitted_at: float | None = None, limited: bool = True) -> None:
        """After a 429 or 503: nobody submits for `seconds` (the server's hint) or, without one, for our backoff.

        `limited` says that the rate was too high: one that is looked for is cut. `admitted_at` tells whether the answer
        belongs to the burst that caused the last pause: such a one may make the pause longer by its hint, but counts
        no second time.
        """
        now = self._clock.now()
        sent_at = now if admitted_at is None else admitted_at
        same_burst = now < self._paused_until or sent_at < self._paused_at
        if same_burst and seconds is None:
            return
        self._pause_until(now + self._pause_seconds(seconds))
        if not same_burst:
            self._paused_at = now
            self._backoff = self._backoff.failed()
            if limited and self._adaptive is not None:
                self._adapt(self._adaptive.after_limited(now, sent_at), now)

    def accepted(self, *, admitted_at: float | None = None) -> None:
        """A submission was accepted: the backoff starts anew, and a rate that is looked for may rise."""
        now = self._clock.now()
        sent_at = now if admitted_at is None else admitted_at
        if sent_at >= self._paused_at:
            self._backoff = self._backoff.succeeded()
        if self._adaptive is not None:
            self._adapt(self._adaptive.after_accepted(now, sent_at), now)

    async def _share_delay(self) -> float:
        """Seconds until a part of the shared rate may be asked for; zero while something is left of the last one."""
        if self._shared is None or self._left > 0:
            return 0.0
        if (delay := self._ask_again_at - self._clock.now()) > 0:
            return delay
        # Twice as much as the last time: a run of a few rows takes no more than it needs, a long one asks seldom.
        self._asked = max(self._in_line, 2 * self._asked)
        share = await self._shared.lease(self._asked)
        now = self._clock.now()
        self._left, self._asked = share.submissions, max(1, share.submissions)
        self._ask_again_at = now + share.wait_seconds
        if share.submissions and (self._spread is None or self._spread.rate != share.per_second):
            self._spread = TokenBucket.full(share.per_second, max(1.0, share.per_second * KNOWN_BURST_SECONDS), now)
        return share.wait_seconds

    def _take(self, images: int) -> float:
        now = self._clock.now()
        self._submits = self._submits.take(now)
        self._left -= 1
        if self._spread is not None:
            self._spread = self._spread.take(now)
        if self._images is not None:
            self._images = self._images.take(now, images)
        return now

    def _delay(self, images: int) -> float:
        now = self._clock.now()
        waits = [self._paused_until - now, self._submits.delay(now)]
        if self._images is not None:
            waits.append(self._images.delay(now, images))
        if self._spread is not None:
            waits.append(self._spread.delay(now))
        return max(waits)

    def _pause_seconds(self, hint: float | None) -> float:
        return self._backoff.seconds(self._chance()) if hint is None else min(hint, LONGEST_HINT_SECONDS)

    def _pause_until(self, until: float) -> None:
        self._paused_until = max(self._paused_until, until)
        self._submits = self._submits.emptied(self._paused_until)

    def _adapt(self, adaptive: AdaptiveRate, now: float) -> None:
        if self._adaptive is not None and adaptive.rate != self._adaptive.rate:
            self._submits = self._submits.at_rate(adaptive.rate, _adaptive_burst(adaptive.rate), now)
        self._adaptive = adaptive


def _known_bucket(name: str, per_minute: float, now: float) -> TokenBucket:
    if not 0 < per_minute < float("inf"):
        raise ConfigurationError(f"{name} is {per_minute:g}: give a number above 0, or none at all")
    rate = per_minute / 60
    return TokenBucket.full(rate, max(1.0, rate * KNOWN_BURST_SECONDS), now)


def _adaptive_bucket(adaptive: AdaptiveRate, now: float) -> TokenBucket:
    return TokenBucket.full(adaptive.rate, _adaptive_burst(adaptive.rate), now)


def _adaptive_burst(rate: float) -> float:
    return max(1.0, rate * ADAPTIVE_BURST_SECONDS)


class InFlight:
    """A plain limit on jobs in flight, first come first served: `async with in_flight: ...`."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ConfigurationError(f"jobs_in_flight is {limit}: give at least 1")
        self.limit = limit
        self.busy = 0
        self._places = asyncio.Semaphore(limit)

    async def __aenter__(self) -> None:
        await self._places.acquire()
        self.busy += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.busy -= 1
        self._places.release()
