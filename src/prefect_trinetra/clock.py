"""Time, passed in: what decides when never asks the machine itself."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

__all__ = ["Clock", "ElapsedClock", "MonotonicClock"]


class Clock(Protocol):
    """A clock that never goes back, and a way to wait by it. All times are in seconds."""

    def now(self) -> float:
        """Seconds since some moment of the clock's own: only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long; at once for zero or less."""
        ...


class MonotonicClock:
    """The machine's monotonic clock, the one that event loops go by."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ElapsedClock(MonotonicClock):
    """Counts also while the machine sleeps, where the system has such a clock: a closed lid is no short moment."""

    def now(self) -> float:
        return time.monotonic() if _ELAPSED is None else time.clock_gettime(_ELAPSED)


# Linux's monotonic clock stands still in suspend, macOS's as Python reads it too; Windows' does not.
_ELAPSED: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
