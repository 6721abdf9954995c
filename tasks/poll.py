"""Waiting for a job as a task."""

from __future__ import annotations

import time
from typing import Any, Final

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from prefect_trinetra.blocks.credentials import TrinetraCredentials, account_of
from prefect_trinetra.errors import ConfigurationError, JobFailed, JobUnfinished, JobUnreadable
from prefect_trinetra.loop import io_loop
from prefect_trinetra.provider import provider_for
from prefect_trinetra.settings import Account, load_settings
from prefect_trinetra.spec import RunLimits
from prefect_trinetra.steps import FRESH_SECONDS
from prefect_trinetra.tasks.jobs import Job
from prefect_trinetra.webhooks.subscription import hear_webhooks

__all__ = ["apoll_job", "poll_job"]

POLL_RETRIES: Final = 3
POLL_RETRY_SECONDS: Final = 10.0
# 235 s are reported for high quality.
DEADLINE_SECONDS: Final = 900.0


async def _poll(job: Job, account: Account, deadline_seconds: float) -> Job:
    if account.base_url != job.base_url:
        raise ConfigurationError(
            f"job {job.id} was ordered from {job.base_url}, and these credentials are for {account.base_url}: "
            "pass those it was ordered with"
        )
    await hear_webhooks(account)
    poller = provider_for(account, load_settings(), RunLimits()).poller
    now, age = time.monotonic(), max(0.0, time.time() - job.submitted_at)
    document = await poller.wait(
        job.id,
        group=f"{job.model}/{job.quality}",
        submitted_at=now - age,
        deadline=now + deadline_seconds,
        first_look_now=age > FRESH_SECONDS,
    )
    if document is None or not document.is_terminal:
        raise JobUnfinished(
            f"job {job.id} was not done within {deadline_seconds:g} s: poll it again, don't submit it again",
            job_id=job.id,
        )
    if document.failed_for_free:
        said = f": {document.error}" if document.error else ""
        raise JobFailed(
            f"job {job.id} ended {document.status} and cost nothing{said}; to order it again submit it with "
            f"attempt={job.attempt + 1}",
            job_id=job.id,
        )
    return job.seen_as(document)


def _was_unreadable(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.data, JobUnreadable)


_OPTIONS: Final[dict[str, Any]] = {
    "name": "poll_job",
    "retries": POLL_RETRIES,
    "retry_delay_seconds": POLL_RETRY_SECONDS,
    "retry_condition_fn": _was_unreadable,
    # Its result holds signed URLs: not cached, and not persisted even where all results are.
    "cache_policy": NO_CACHE,
    "persist_result": False,
}


@task(**_OPTIONS)
def poll_job(
    job: Job, *, credentials: TrinetraCredentials | None = None, deadline_seconds: float = DEADLINE_SECONDS
) -> Job:
    """
    Waits for a job to end and returns it with its outputs, for `download_images`.

    Never cached or persisted, since the outputs are signed URLs: a rerun looks at the job once more, which is free.

    Args:
        job: What `submit_job` returned.
        credentials: The account it was ordered with; else that of the environment.
        deadline_seconds: How long to wait for it.

    Raises:
        JobFailed: It failed, delivered nothing and cost nothing.
        JobUnfinished: It did not end in time. It may still be charged: poll it again, don't submit it again.
        JobGone: The provider denies that there is such a job.
        ConfigurationError: The credentials are missing, or another API's.
    """
    return io_loop().run(_poll(job, account_of(credentials), deadline_seconds))


@task(**_OPTIONS)
async def apoll_job(
    job: Job, *, credentials: TrinetraCredentials | None = None, deadline_seconds: float = DEADLINE_SECONDS
) -> Job:
    """`poll_job` for async flows."""
    return await io_loop().arun(_poll(job, account_of(credentials), deadline_seconds))
