"""The three tasks in flows of a user's own; the sandbox's bill is what counts."""

from __future__ import annotations

import base64
import contextlib
from pathlib import Path
from typing import Any

import orjson
import pytest
from prefect import flow
from prefect.settings import PREFECT_RESULTS_PERSIST_BY_DEFAULT, temporary_settings

from orchestra import credentials_of
from prefect_trinetra.blocks import TrinetraCredentials
from prefect_trinetra.errors import (
    ConfigurationError,
    DownloadDamaged,
    JobFailed,
    JobUnfinished,
    OutcomeUnknown,
    RequestRefused,
)
from prefect_trinetra.outputs import StoredImage
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.tasks import (
    adownload_images,
    apoll_job,
    asubmit_job,
    download_images,
    poll_job,
    submit_job,
)

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@flow
def pictures_of(prompts: list[Any], to: str, credentials: TrinetraCredentials) -> list[StoredImage]:
    """As a user would write it."""
    jobs = submit_job.map(prompts, credentials=credentials, quality="low")
    done = poll_job.map(jobs, credentials=credentials)
    return [image for stored in download_images.map(done, to) for image in stored.result()]


def test_mapped_tasks_buy_equal_requests_once(shop: SandboxHandle, prefect_server: Path, tmp_path: Path) -> None:
    """One flight serves equal requests; a rerun is served from the cache, which holds no secret."""
    prompts = ["a cat", "a dog", {"prompt": "two birds", "n": 2}, "a cat", "a cat"]
    # Nothing that is persisted may hold a signed address, also where everything is.
    with temporary_settings({PREFECT_RESULTS_PERSIST_BY_DEFAULT: True}):
        images = pictures_of(prompts, str(tmp_path), credentials_of(shop))
        again = pictures_of(prompts, str(tmp_path), credentials_of(shop))
    assert len(images) == len(again) == 6
    assert {image.path for image in images} == {image.path for image in again}
    assert all((tmp_path / image.path).is_file() for image in images)
    assert shop.bill()["submits"] == 3
    kept = b"".join(_results(prefect_server))
    assert b"trinetra" in kept
    assert shop.api_key.encode() not in kept
    assert b"/cdn/" not in kept


def _results(folder: Path) -> list[bytes]:
    """What Prefect's result storage holds, its pickles unwrapped as far as bytes go."""
    found = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    for data in tuple(found):
        with contextlib.suppress(ValueError, TypeError):
            found.append(base64.b64decode(orjson.loads(data)["result"]))
    return found


async def test_each_task_has_an_async_twin(shop: SandboxHandle, tmp_path: Path) -> None:
    """For async flows, on whatever event loop."""

    @flow
    async def picture() -> list[StoredImage]:
        job = await asubmit_job("an async cat", credentials=credentials_of(shop), n=2)
        return await adownload_images(await apoll_job(job, credentials=credentials_of(shop)), str(tmp_path))

    assert len(await picture()) == 2
    assert shop.bill()["submits"] == 1


def test_a_failed_job_is_ordered_again_by_its_attempt(shop: SandboxHandle, tmp_path: Path) -> None:
    """The cached id of the failed job does not wedge the row."""
    credentials = credentials_of(shop)

    @flow
    def stubborn() -> list[StoredImage]:
        job = submit_job("a failing cat", credentials=credentials)
        with pytest.raises(JobFailed, match="attempt=2"):
            poll_job(job, credentials=credentials)
        shop.set_faults(failed_jobs=0)
        second = submit_job("a failing cat", credentials=credentials, attempt=2)
        return download_images(poll_job(second, credentials=credentials), str(tmp_path))

    shop.set_faults(failed_jobs=1)
    assert len(stubborn()) == 1
    assert shop.bill()["submits"] == 2


def test_an_unknown_outcome_is_not_sent_again(shop: SandboxHandle) -> None:
    """The task has retries, and none of them is for this."""

    @flow
    def lost() -> None:
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                submit_job("a lost cat", credentials=credentials_of(shop))

    shop.set_faults(lost_answer=1)
    lost()
    assert shop.bill()["submits"] == 1


def test_what_is_not_accepted_is_sent_again_after_a_wait() -> None:
    """429 with Retry-After, until the provider takes it."""
    with running_sandbox(job_seconds=0, pixels=32, requests_per_second=2) as slow:

        @flow
        def impatient() -> int:
            jobs = submit_job.map([f"cat {number}" for number in range(5)], credentials=credentials_of(slow))
            return len({job.result().id for job in jobs})

        assert impatient() == 5
        assert slow.bill()["jobs_accepted"] == 5


def test_what_can_not_be_done_is_said(shop: SandboxHandle, tmp_path: Path) -> None:
    """By an error that names the job or the field."""
    credentials = credentials_of(shop)

    @flow
    def unlucky() -> None:
        with pytest.raises(RequestRefused):
            submit_job("forbidden-by-moderation", credentials=credentials)
        with pytest.raises(ConfigurationError, match="prompt is blank"):
            submit_job(" ", credentials=credentials)
        with pytest.raises(ConfigurationError, match="attempts from 1"):
            submit_job("a cat", credentials=credentials, attempt=0)
        job = submit_job("a flawed cat", credentials=credentials)
        with pytest.raises(ConfigurationError, match="pass what poll_job returns"):
            download_images(job, str(tmp_path))
        other = TrinetraCredentials(api_key=credentials.api_key, base_url="http://127.0.0.1:9")
        with pytest.raises(ConfigurationError, match="was ordered from"):
            poll_job(job, credentials=other)
        polled = poll_job(job, credentials=credentials)
        with pytest.raises(DownloadDamaged, match=job.id):
            download_images(polled, str(tmp_path))
        shop.set_faults(stuck_jobs=1)
        stuck = submit_job("a stuck cat", credentials=credentials)
        with pytest.raises(JobUnfinished, match=stuck.id):
            poll_job(stuck, credentials=credentials, deadline_seconds=0.3)

    shop.set_faults(empty_body=1)
    unlucky()
