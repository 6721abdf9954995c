"""One timer that rings once, at the earliest time it was set to."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Final

from prefect_trinetra.clock import Clock

__all__ = ["Alarm"]

# What falls due within one nap is served together; shorter naps would only wake the loop.
SHORTEST_NAP_SECONDS: Final = 0.005


class Alarm:
    """Calls `ring` when it is due; used in one event loop. Times are in seconds, on `clock`."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due = 0.0
        self._nap: asyncio.Task[None] | None = None

    def set(self, due: float) -> None:
        """Ring at that time, unless it is set to an earlier one."""
        if self._nap is not None:
            if self._due <= due:
                return
            self._nap.cancel()
        self._due = due
        # An empty context: it serves everybody, not only the one who happened to set it.
        self._nap = asyncio.create_task(self._sleep(), context=contextvars.Context())

    async def aclose(self) -> None:
        """It rings no more."""
        if self._nap is not None:
            self._nap.cancel()
            await asyncio.gather(self._nap, return_exceptions=True)
            self._nap = None

    async def _sleep(self) -> None:
        await self._clock.sleep(max(SHORTEST_NAP_SECONDS, self._due - self._clock.now()))
        self._nap = None
        self._ring()
