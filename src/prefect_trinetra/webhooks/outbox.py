"""Between the answer to a webhook and its delivery: a queue of limited length that one task works off."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Final

from prefect_trinetra.webhooks.notice import Notice

__all__ = ["Deliver", "OpenDelivery", "Outbox", "Placed"]

logger = logging.getLogger(__name__)

# Who repeats a POST after a time-out does so within this. A later repetition costs one event.
REMEMBERED_SECONDS: Final = 60.0
MOST_REMEMBERED: Final = 20_000
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 15.0
# What is still in the queue when the receiver stops gets so long; the safety looks of who waits find the rest.
LAST_DELIVERIES_SECONDS: Final = 5.0

Deliver = Callable[[str], Awaitable[None]]
OpenDelivery = Callable[[], AbstractAsyncContextManager[Deliver]]


class Placed(Enum):
    """What became of a notice."""

    TAKEN = "taken"
    REPEATED = "repeated"
    FULL = "full"


class Outbox:
    """Delivers each notice once, in order. Used in one event loop.

    `open_delivery` opens the way out; where it or a delivery fails it is opened anew after a pause, and the notice
    under way is tried again.
    """

    def __init__(self, open_delivery: OpenDelivery, most_waiting: int) -> None:
        self._open_delivery = open_delivery
        self._most_waiting = most_waiting
        self._queue: asyncio.Queue[Notice] = asyncio.Queue()
        self._under_way: Notice | None = None
        self._delivered = 0
        self._remembered: OrderedDict[Notice, float] = OrderedDict()
        self._worker: asyncio.Task[None] | None = None

    def put(self, notice: Notice) -> Placed:
        """Takes a notice in, unless its body was taken in within the last minute or the queue is full."""
        now = time.monotonic()
        if now - self._remembered.get(notice, -REMEMBERED_SECONDS) < REMEMBERED_SECONDS:
            return Placed.REPEATED
        if self._queue.qsize() >= self._most_waiting:
            return Placed.FULL
        self._remembered[notice] = now
        self._remembered.move_to_end(notice)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        self._queue.put_nowait(notice)
        self.start()
        return Placed.TAKEN

    def start(self) -> None:
        """Begin to work it off. The first notice does so, too: an app that is mounted is not told of starts."""
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="webhook outbox")

    async def aclose(self) -> None:
        """Delivers what is there, for a few seconds, and ends."""
        if self._worker is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), LAST_DELIVERIES_SECONDS)
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        self._worker = None

    async def _work(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            before = self._delivered
            try:
                async with self._open_delivery() as deliver:
                    async for notice in self._notices():
                        await deliver(notice.job_id)
            except Exception as error:  # noqa: BLE001  # said, and tried again: a receiver outlives the server it tells
                pause = FIRST_PAUSE_SECONDS if self._delivered > before else min(2 * pause, LONGEST_PAUSE_SECONDS)
                logger.warning("webhooks wait, %d of them: %s: %s", self.waiting, type(error).__name__, error)
                await asyncio.sleep(pause)

    @property
    def waiting(self) -> int:
        """How many notices are not delivered yet."""
        return self._queue.qsize() + (self._under_way is not None)

    async def _notices(self) -> AsyncIterator[Notice]:
        """One after the other; the next is asked for once the last one was delivered."""
        while True:
            self._under_way = self._under_way or await self._queue.get()
            yield self._under_way
            self._under_way = None
            self._delivered += 1
            self._queue.task_done()
