"""The three steps of a job, as the engine takes them: submit, poll, collect."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Protocol

from prefect_trinetra.outcomes import Job
from prefect_trinetra.outputs import Collected, OutputCollector
from prefect_trinetra.provider import Provider
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.storage import Storage

__all__ = ["CURRENT_ROW", "ProviderSteps", "Steps", "Submission"]

# Which row of the manifest the running coroutine is about, for the names of what is shown and logged.
CURRENT_ROW: Final[ContextVar[int]] = ContextVar("trinetra_row", default=0)


@dataclass(frozen=True, slots=True)
class Submission:
    """What is submitted, and the names it goes by."""

    request: ImageRequest
    key: str
    sample: int
    attempt: int
    idempotency_key: str


class Steps(Protocol):
    """What the engine needs done; by default straight through the provider, for small runs as Prefect tasks."""

    async def submit(self, submission: Submission) -> Job:
        """Makes one POST. Raises what TrinetraClient.submit raises."""

    async def poll(
        self, job_id: str, request: ImageRequest, *, age_seconds: float, deadline_seconds: float
    ) -> Job | None:
        """The job's end, or None if it is not seen within `deadline_seconds` from now. Raises JobGone.

        A job that was last seen in a state nobody lists is returned as it was then, without outputs.
        """

    async def collect(self, job: Job, key: str, request: ImageRequest) -> list[Collected]:
        """Every output, stored or lost."""


class ProviderSteps:
    """The steps without an orchestrator in between."""

    def __init__(self, provider: Provider, storage: Storage) -> None:
        self._provider = provider
        self._collector = OutputCollector(provider.client, provider.decoder, storage, provider.downloads)

    async def submit(self, submission: Submission) -> Job:
        return await self._provider.client.submit(submission.request, idempotency_key=submission.idempotency_key)

    async def poll(
        self, job_id: str, request: ImageRequest, *, age_seconds: float, deadline_seconds: float
    ) -> Job | None:
        now = time.monotonic()
        return await self._provider.poller.wait(
            job_id,
            group=f"{request.model}/{request.quality}",
            submitted_at=now - age_seconds,
            deadline=now + deadline_seconds,
            first_look_now=age_seconds > FRESH_SECONDS,
        )

    async def collect(self, job: Job, key: str, request: ImageRequest) -> list[Collected]:
        return await self._collector.collect(job, key, request)


# A job that was submitted longer ago than this comes from an earlier run and may well be done.
FRESH_SECONDS = 5.0
