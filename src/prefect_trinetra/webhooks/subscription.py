"""The other end: one subscription a process to the events that webhooks became; each wakes who waits for its job."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from weakref import WeakKeyDictionary

from prefect.client.orchestration import get_client
from prefect.events import Event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter

from prefect_trinetra.hints import Hints, hints_here
from prefect_trinetra.settings import Account
from prefect_trinetra.webhooks.notice import EVENT, job_id_of

__all__ = ["hear_webhooks"]

logger = logging.getLogger(__name__)

# Orders wait so long for the subscription, so that the first jobs need not be polled.
START_SECONDS: Final = 5.0
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 15.0
# A dead connection is noticed by its pings after 40 s, and events may have been lost in it all that time.
UNNOTICED: Final = timedelta(seconds=60)
# The server writes events down some seconds after it took them: what came just before we were back shows later.
WRITTEN_DOWN_SECONDS: Final = 10.0
# The server gives no larger pages. These are 10,000 ended jobs; the safety looks find what is beyond.
EVENTS_PER_PAGE: Final = 50
MOST_PAGES: Final = 200


async def hear_webhooks(account: Account) -> None:
    """See to it that this event loop's hints come, where the account's webhooks are said to become events.

    Returns when they can come, or after some seconds: then jobs are polled until they can.
    """
    if not account.webhooks:
        return
    loop = asyncio.get_running_loop()
    ear = _ears.get(loop)
    if ear is None or ear.task.done():
        ear = _ears[loop] = _Ear(hints_here())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(ear.started_at + START_SECONDS):
            await ear.hints.wait_until_listening()


@dataclass(eq=False)
class _Ear:
    """Listens until it is cancelled, whatever becomes of the server."""

    hints: Hints
    started_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    deaf_since: datetime | None = None
    """Since when events may have been missed that nobody told of yet."""
    task: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        self.task = asyncio.create_task(self._listen(), name="webhook subscription")

    async def _listen(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._hearing() as events:
                    pause = FIRST_PAUSE_SECONDS
                    async for event in events:
                        self._tell(event)
            except Exception as error:  # noqa: BLE001  # said, and tried again: jobs are polled meanwhile
                # Once is enough: it is tried again and again.
                level = logging.WARNING if pause == FIRST_PAUSE_SECONDS else logging.DEBUG
                logger.log(level, "webhooks are not heard, jobs are polled: %s: %s", type(error).__name__, error)
            self.deaf_since = self.deaf_since or datetime.now(UTC) - UNNOTICED
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    @contextlib.asynccontextmanager
    async def _hearing(self) -> AsyncIterator[AsyncIterator[Event]]:
        """The stream of events, once what was missed has been told."""
        late: asyncio.Task[None] | None = None
        # It would come back by itself, and nobody would know that it was away.
        async with get_events_subscriber(filter=_filter(), reconnection_attempts=0) as events:
            try:
                if self.deaf_since is not None:
                    await self._catch_up(self.deaf_since)
                    late = asyncio.create_task(self._catch_up(self.deaf_since, WRITTEN_DOWN_SECONDS))
                self.deaf_since = None
                self.hints.set_listening(listening=True)
                yield events
            finally:
                self.hints.set_listening(listening=False)
                if late is not None:
                    late.cancel()
                    await asyncio.gather(late, return_exceptions=True)

    async def _catch_up(self, since: datetime, delay_seconds: float = 0.0) -> None:
        """Tells of the events that the server wrote down since then."""
        await asyncio.sleep(delay_seconds)
        async with get_client() as client:
            page = await client.read_events(_filter(since), limit=EVENTS_PER_PAGE)
            for _ in range(MOST_PAGES):
                for event in page.events:
                    self._tell(event)
                if page.next_page is None:
                    break
                page = await client.read_events_page(str(page.next_page))

    def _tell(self, event: Event) -> None:
        if job_id := job_id_of(event.resource.id):
            self.hints.tell(job_id)


_ears: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Ear]] = WeakKeyDictionary()


def _filter(since: datetime | None = None) -> EventFilter:
    found = EventFilter(event=EventNameFilter(name=[EVENT]))
    if since is not None:
        until = datetime.now(UTC) + UNNOTICED
        found.occurred = EventOccurredFilter.model_validate({"since": since, "until": until})
    return found
