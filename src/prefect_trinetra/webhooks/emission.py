"""The way out of the receiver: one Prefect event for each webhook."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from prefect.events import Event, Resource
from prefect.events.clients import get_events_client

from prefect_trinetra.webhooks.notice import EVENT, resource_id
from prefect_trinetra.webhooks.outbox import Deliver

__all__ = ["finished_event", "open_events"]

# A connection that broke off is seen at the next event; each try after the second takes a second more.
RECONNECTIONS = 3
# What was sent and not yet confirmed is sent again after a broken connection.
CONFIRM_SECONDS = 5.0


def finished_event(job_id: str) -> Event:
    """Somebody said that this job ended. Nothing else of what they said is in it."""
    return Event(
        event=EVENT,
        resource=Resource({"prefect.resource.id": resource_id(job_id), "prefect.resource.name": job_id}),
    )


@contextlib.asynccontextmanager
async def open_events() -> AsyncIterator[Deliver]:
    """A connection to the event stream of the Prefect server that the active profile or environment names."""
    client = get_events_client(reconnection_attempts=RECONNECTIONS, checkpoint_interval=CONFIRM_SECONDS)
    async with client:

        async def deliver(job_id: str) -> None:
            await client.emit(finished_event(job_id))

        yield deliver
