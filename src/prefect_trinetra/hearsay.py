"""How far hints are relied on: what they announced, and what ended without one."""

from __future__ import annotations

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from prefect_trinetra.clock import Clock
from prefect_trinetra.hints import Hints

__all__ = ["Hearsay", "Reliance", "Stance"]

# So many ends in a row that were announced prove that hints come.
PROOF: Final = 3
# One end that was not announced outweighs so many that were: hints are relied on while fewer than that are lost.
COST_OF_A_MISS: Final = 20
MOST_CREDIT: Final = COST_OF_A_MISS + PROOF + 1
# A look may see an end before its hint is here: that one may be so much later. One that comes later still is no help.
GRACE_SECONDS: Final = 1.0
# A hint may come before the answer to the submit. Other processes' jobs are among them, so the oldest are dropped.
MOST_EARLY: Final = 10_000


class Stance(Enum):
    """How jobs are waited for."""

    POLL = "poll"
    """By looks alone: no hints can come, or too many were lost."""
    TRY = "try"
    """A few jobs are looked at as ever, and show whether hints come; the others wait for theirs."""
    RELY = "rely"
    """Each job waits for its hint, with a late look in case it was lost."""


@dataclass(frozen=True, slots=True)
class Reliance:
    """What experience says about hints. Pure."""

    credit: int = 0

    def announced(self) -> Reliance:
        """A job ended, and its hint came."""
        return Reliance(min(MOST_CREDIT, self.credit + 1))

    def missed(self) -> Reliance:
        """A job ended, and no hint came."""
        return Reliance(max(-COST_OF_A_MISS, self.credit - COST_OF_A_MISS))

    @property
    def stance(self) -> Stance:
        if self.credit >= PROOF:
            return Stance.RELY
        return Stance.POLL if self.credit < 0 else Stance.TRY


class Hearsay:
    """One poller's view of its loop's hints. `on_change` is called when the stance changed. Times are on `clock`."""

    def __init__(self, hints: Hints, clock: Clock, on_change: Callable[[], None]) -> None:
        self._hints = hints
        self._clock = clock
        self._on_change = on_change
        self._reliance = Reliance()
        self._early: OrderedDict[str, None] = OrderedDict()
        # Jobs seen to have ended that no hint announced yet, with the time until which one may come, oldest first.
        self._suspects: OrderedDict[str, float] = OrderedDict()
        self._judge: asyncio.Task[None] | None = None

    @property
    def stance(self) -> Stance:
        return self._reliance.stance if self._hints.listening else Stance.POLL

    @property
    def is_heard(self) -> bool:
        """Whether hints came of late, for as many jobs as could tell."""
        return self._reliance.credit > 0

    def said(self, job_id: str, *, awaited: bool) -> None:
        """A hint came; `awaited` is whether somebody waits for the job just now."""
        if self._suspects.pop(job_id, None) is not None:
            self._learn(self._reliance.announced())
        elif not awaited:
            self._early[job_id] = None
            if len(self._early) > MOST_EARLY:
                self._early.popitem(last=False)

    def was_said(self, job_id: str) -> bool:
        """Whether a hint came before anybody waited for the job. Forgotten by asking."""
        return self._early.pop(job_id, self) is None

    def ended(self, job_id: str, *, announced: bool) -> None:
        """A job was seen to have ended after being waited for from its beginning."""
        if announced:
            self._learn(self._reliance.announced())
        elif self._hints.listening:
            self._suspects[job_id] = self._clock.now() + GRACE_SECONDS
            if self._judge is None:
                # An empty context: it serves every waiter, not only the one whose job it was.
                self._judge = asyncio.create_task(self._judge_suspects(), context=contextvars.Context())

    async def aclose(self) -> None:
        if self._judge is not None:
            self._judge.cancel()
            await asyncio.gather(self._judge, return_exceptions=True)

    async def _judge_suspects(self) -> None:
        while self._suspects:
            job_id, until = next(iter(self._suspects.items()))
            await self._clock.sleep(until - self._clock.now())
            if self._suspects.pop(job_id, None) is not None and self._hints.listening:
                self._learn(self._reliance.missed())
        self._judge = None

    def _learn(self, reliance: Reliance) -> None:
        before, self._reliance = self._reliance, reliance
        if before.stance is not reliance.stance:
            self._on_change()
