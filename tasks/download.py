"""A job's images brought home as a task."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from prefect import task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from pydantic import SecretStr

from prefect_trinetra import outcomes
from prefect_trinetra.blocks.storage import StorageBlock, resolve
from prefect_trinetra.client import Download, TrinetraClient
from prefect_trinetra.errors import (
    ConfigurationError,
    DownloadDamaged,
    DownloadExpired,
    DownloadInterrupted,
)
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.outputs import Collected, LostImage, OutputCollector, StoredImage
from prefect_trinetra.provider import provider_for
from prefect_trinetra.settings import Account, TrinetraSettings, load_settings
from prefect_trinetra.spec import RunLimits
from prefect_trinetra.storage import Storage
from prefect_trinetra.tasks.jobs import Job

__all__ = ["adownload_images", "download_images"]

DOWNLOAD_RETRIES: Final = 3
DOWNLOAD_RETRY_SECONDS: Final = 10.0


@dataclass(frozen=True)
class _Source:
    """Where outputs come from. Fetching needs no key; asking a job for fresh URLs does."""

    client: TrinetraClient
    known: outcomes.Job
    has_key: bool

    async def get_job(self, job_id: str) -> outcomes.Job:
        """The job as it is now, or without a key as it was given."""
        return await self.client.get_job(job_id) if self.has_key else self.known

    async def download(self, url: str) -> Download:
        return await self.client.download(url)


def _account(base_url: str, settings: TrinetraSettings) -> tuple[Account, bool]:
    """The environment's account where it is that of `base_url`, else one without a key; and whether it has one."""
    if settings.api_key is not None and (account := settings.account()).base_url == base_url:
        return account, True
    return Account(SecretStr(""), base_url), False


async def _download(job: Job, storage: Storage) -> list[Collected]:
    settings = load_settings()
    account, has_key = _account(job.base_url, settings)
    provider = provider_for(account, settings, RunLimits())
    document = job.document()
    source = _Source(provider.client, document, has_key)
    if not document.is_terminal and has_key:
        document = await source.get_job(job.id)
    if not document.is_terminal:
        raise ConfigurationError(f"job {job.id} is {document.status}: pass what poll_job returns")
    collector = OutputCollector(source, provider.decoder, storage, provider.downloads)
    return await collector.collect(document, job.key, job.parameters())


def _stored(job: Job, collected: Sequence[Collected]) -> list[StoredImage]:
    """What was stored. Raises DownloadInterrupted where more may be had, the other two where nothing was."""
    stored = [each for each in collected if isinstance(each, StoredImage)]
    lost = [each for each in collected if isinstance(each, LostImage)]
    reasons = "; ".join(dict.fromkeys(each.reason for each in lost)) or "it has no outputs"
    if any(each.outcome is Outcome.PENDING for each in lost):
        raise DownloadInterrupted(f"job {job.id}: {reasons}; try again, nothing is charged for that")
    if not stored and any(each.outcome is Outcome.EXPIRED for each in lost):
        raise DownloadExpired(f"job {job.id}: {reasons}; poll_job may give a fresh address")
    if not stored:
        raise DownloadDamaged(f"job {job.id} ended {job.status} without a usable image: {reasons}")
    for each in lost:
        get_run_logger().warning("job %s: output %d is lost: %s", job.id, each.index, each.reason)
    return stored


def _cache_key(_context: TaskRunContext, inputs: dict[str, Any]) -> str | None:
    try:
        url, _ = resolve(inputs.get("storage"), inputs["to"])
    except ConfigurationError:
        return None  # the task itself says what is wrong
    job: Job = inputs["job"]
    name = f"{job.base_url}\0{job.id}\0{url}"
    return f"trinetra-download-{hashlib.sha256(name.encode()).hexdigest()}"


def _was_interrupted(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.data, DownloadInterrupted)


_OPTIONS: Final[dict[str, Any]] = {
    "name": "download_images",
    "retries": DOWNLOAD_RETRIES,
    "retry_delay_seconds": DOWNLOAD_RETRY_SECONDS,
    "retry_condition_fn": _was_interrupted,
    "cache_key_fn": _cache_key,
}


@task(**_OPTIONS)
def download_images(job: Job, to: str, *, storage: StorageBlock | None = None) -> list[StoredImage]:
    """
    Fetches a job's images, verifies them and stores them under names that tell their content.

    Returns what was stored, each `path` relative to `to`; an output that is no usable image is left out and logged.
    Cached by job and folder. No key is needed; where the environment holds that of the job's API, expired addresses
    are renewed by themselves.

    Args:
        job: What `poll_job` returned.
        to: A folder: a path, a URL such as s3://bucket/cats, or a name in the storage.
        storage: The block that holds it, and the keys to open it.

    Raises:
        DownloadDamaged: What came is no image, or nothing came.
        DownloadExpired: The addresses no longer answer: poll the job again.
        DownloadInterrupted: The network or the storage failed, several times.
        ConfigurationError: The job was not polled, or the folder can't be written to.
    """
    place = Storage.open(*resolve(storage, to))
    return _stored(job, io_loop().run(_download(job, place)))


@task(**_OPTIONS)
async def adownload_images(job: Job, to: str, *, storage: StorageBlock | None = None) -> list[StoredImage]:
    """`download_images` for async flows."""
    place = Storage.open(*resolve(storage, to))
    return _stored(job, await io_loop().arun(_download(job, place)))
