"""What others say about ended jobs, handed on to who waits for jobs. Where it comes from is not the core's business."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol
from weakref import WeakKeyDictionary

__all__ = ["HintListener", "Hints", "hints_here"]


class HintListener(Protocol):
    """Who waits for jobs."""

    def wake(self, job_id: str) -> None:
        """Somebody says that this job ended. Nothing vouches for it."""

    def replan(self) -> None:
        """Hints can come from now on, or no longer."""


class Hints:
    """One event loop's hints. A source tells them and says whether it is listening; listeners join and leave."""

    def __init__(self) -> None:
        self._listeners: list[HintListener] = []
        self._listening = asyncio.Event()

    @property
    def listening(self) -> bool:
        """Whether a source hears of every job that ends now, as far as it can know."""
        return self._listening.is_set()

    def join(self, listener: HintListener) -> None:
        self._listeners.append(listener)

    def leave(self, listener: HintListener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def tell(self, job_id: str) -> None:
        """The source heard that this job ended."""
        for listener in self._listeners:
            listener.wake(job_id)

    def set_listening(self, *, listening: bool) -> None:
        """The source begins or ceases to hear. What it missed in between it tells first."""
        if listening == self.listening:
            return
        if listening:
            self._listening.set()
        else:
            self._listening.clear()
        for listener in self._listeners:
            listener.replan()

    async def wait_until_listening(self) -> None:
        """Returns once a source is listening."""
        await self._listening.wait()


_of_loop: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Hints]] = WeakKeyDictionary()


def hints_here() -> Hints:
    """The running event loop's hints."""
    return _of_loop.setdefault(asyncio.get_running_loop(), Hints())
