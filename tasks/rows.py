"""Each step of a row as a task run: what a person sees of a small run. The engine stays the one that decides."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import AsyncClientContext
from prefect.states import Failed

from prefect_trinetra.errors import TrinetraError
from prefect_trinetra.outcomes import Job
from prefect_trinetra.outputs import Collected
from prefect_trinetra.provider import Provider
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.steps import CURRENT_ROW, ProviderSteps, Submission
from prefect_trinetra.storage import Storage

__all__ = ["RowTasks", "with_one_client"]

T = TypeVar("T")


def _submit_name() -> str:
    return f"submit row {CURRENT_ROW.get()}"


def _poll_name() -> str:
    return f"poll row {CURRENT_ROW.get()}"


def _download_name() -> str:
    return f"download row {CURRENT_ROW.get()}"


class RowTasks:
    """The engine's steps as task runs named after the public tasks.

    They are neither retried, cached nor persisted: pacing, attempts and the journal are the engine's.
    """

    def __init__(self, provider: Provider, storage: Storage) -> None:
        self._steps = ProviderSteps(provider, storage)

    async def submit(self, submission: Submission) -> Job:
        return await _answer(_submit_job(self._steps, submission, return_state=True))

    async def poll(
        self, job_id: str, request: ImageRequest, *, age_seconds: float, deadline_seconds: float
    ) -> Job | None:
        return await _answer(_poll_job(self._steps, job_id, request, age_seconds, deadline_seconds, return_state=True))

    async def collect(self, job: Job, key: str, request: ImageRequest) -> list[Collected]:
        return await _answer(_download_images(self._steps, job, key, request, return_state=True))


async def with_one_client(work: Coroutine[Any, Any, T]) -> T:
    """Gives all task runs of `work` one Prefect client: a client for each would cost 50 ms of CPU a task run."""
    async with AsyncClientContext.get_or_create():
        return await work


async def _told(step: Coroutine[Any, Any, T]) -> T:
    """The step's answer. An error of ours becomes a failed state, so that the log holds a line and no traceback."""
    try:
        return await step
    except TrinetraError as error:
        return cast("T", Failed(name=type(error).__name__, message=str(error), data=error))


async def _answer(running: State[T]) -> T:
    # Called with return_state an async task gives a coroutine, whatever Prefect's annotations say.
    state = await cast("Awaitable[State[T]]", running)
    ended = await state.aresult(raise_on_failure=False)
    if isinstance(ended, BaseException):
        raise ended
    return ended


_PLAIN: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False, "retries": 0}


@task(name="submit_job", task_run_name=_submit_name, **_PLAIN)
async def _submit_job(steps: ProviderSteps, submission: Submission) -> Job:
    """Makes the row's one POST."""
    return await _told(steps.submit(submission))


@task(name="poll_job", task_run_name=_poll_name, **_PLAIN)
async def _poll_job(
    steps: ProviderSteps, job_id: str, request: ImageRequest, age_seconds: float, deadline_seconds: float
) -> Job | None:
    """Waits for the row's job to end."""
    return await _told(steps.poll(job_id, request, age_seconds=age_seconds, deadline_seconds=deadline_seconds))


@task(name="download_images", task_run_name=_download_name, **_PLAIN)
async def _download_images(steps: ProviderSteps, job: Job, key: str, request: ImageRequest) -> list[Collected]:
    """Fetches, verifies and stores the row's images."""
    return await _told(steps.collect(job, key, request))
