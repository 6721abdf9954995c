"""Time, passed in: what decides when never asks the machine itself."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "MonotonicClock"]


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
