"""An event loop with made-up time: it never waits, but leaps to the next thing due. Else it is asyncio's own."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualClock:
    """The running loop's made-up time; usable before the loop runs, too."""

    def __init__(self) -> None:
        self.loop = _VirtualLoop()

    def now(self) -> float:
        return self.loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to the end, whatever made-up time it takes. RuntimeError where everything waits for nothing."""
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            return runner.run(coroutine)


class _LeapingSelector(selectors.DefaultSelector):
    """Instead of waiting for input it leaps over the time that the loop would have waited."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events and timeout is None:
            raise RuntimeError("everything waits, and nothing is due: a deadlock")
        if not events:
            self.passed += max(0.0, timeout or 0.0)
        return events


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaps = _LeapingSelector()
        super().__init__(self._leaps)

    def time(self) -> float:
        return self._leaps.passed
