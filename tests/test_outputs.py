"""Outputs brought home: through a gate of their own, from URLs that are fresh enough, and never given up for dead."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from command import started, trinetra, wait_until
from prefect_trinetra.client import TrinetraClient
from prefect_trinetra.outcomes import Job, Outcome
from prefect_trinetra.outputs import URL_FRESH_SECONDS, Collected, Decoder, LostImage, OutputCollector, StoredImage
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.storage import Storage
from runs import QUICK_SETTINGS, account_of, bought_twice

pytestmark = pytest.mark.slow

ROWS = 30
PLACES = 3


async def no_sleep(_seconds: float) -> None:
    """Tries follow one another at once."""


@contextmanager
def decoder() -> Iterator[Decoder]:
    with ThreadPoolExecutor(1) as threads:
        yield Decoder(threads, max_pixels=10**6)


@asynccontextmanager
async def collector(
    shop: SandboxHandle, folder: Path, seconds_a_look: float = 0.0
) -> AsyncIterator[tuple[TrinetraClient, OutputCollector]]:
    """A client and a collector with one place; its clock goes on by so much whenever it is looked at."""
    clock = itertools.count(0.0, seconds_a_look).__next__
    async with TrinetraClient(account_of(shop), QUICK_SETTINGS) as client:
        with decoder() as verifying:
            place = Storage.open(str(folder))
            yield client, OutputCollector(client, verifying, place, asyncio.Semaphore(1), no_sleep, clock)


async def ended_job(client: TrinetraClient, request: ImageRequest) -> Job:
    job = await client.submit(request, idempotency_key="1")
    while not job.is_terminal:
        job = await client.get_job(job.id)
    return job


async def collected(shop: SandboxHandle, folder: Path, **faults: float) -> tuple[list[Collected], int, int]:
    """A job of two images under these faults: what came of it, the looks after its end was seen, the downloads."""
    request = ImageRequest("a cat", n=2)
    async with collector(shop, folder) as (client, collecting):
        job = await ended_job(client, request)
        before = shop.bill()["polls"]
        shop.set_faults(**faults)
        came = await collecting.collect(job, request.key(), request)
    bill = shop.bill()
    return came, bill["polls"] - before, bill["downloads"]


def outcomes_of(came: list[Collected]) -> list[Outcome]:
    return [each.outcome if isinstance(each, LostImage) else Outcome.SUCCEEDED for each in came]


async def test_an_image_is_fetched_once(shop: SandboxHandle, tmp_path: Path) -> None:
    """Without trouble nobody looks at the job again."""
    came, looks, downloads = await collected(shop, tmp_path)
    assert outcomes_of(came) == [Outcome.SUCCEEDED] * 2
    assert (looks, downloads) == (0, 2)


async def test_a_job_is_asked_once_for_all_its_expired_urls(shop: SandboxHandle, tmp_path: Path) -> None:
    """One look tells fresh ones for every output."""
    came, looks, downloads = await collected(shop, tmp_path, expired=1)
    assert outcomes_of(came) == [Outcome.SUCCEEDED] * 2
    assert (looks, downloads) == (1, 4)


async def test_an_expired_url_is_not_given_up_while_its_job_cannot_be_read(shop: SandboxHandle, tmp_path: Path) -> None:
    """The job may have fresh ones when it answers again: pending, for the next run to collect."""
    came, _, downloads = await collected(shop, tmp_path, expired=1, poll_error=1)
    assert outcomes_of(came) == [Outcome.PENDING] * 2
    assert downloads == 2


async def test_urls_that_stay_expired_are_given_up(shop: SandboxHandle, tmp_path: Path) -> None:
    """Three different ones were tried for each output."""
    came, _, downloads = await collected(shop, tmp_path, gone=1)
    assert outcomes_of(came) == [Outcome.EXPIRED] * 2
    assert downloads == 6


async def test_damage_is_tried_at_the_url_and_then_at_a_fresh_one(shop: SandboxHandle, tmp_path: Path) -> None:
    """Three tries for each output, and no new job."""
    came, looks, downloads = await collected(shop, tmp_path, html=1)
    assert outcomes_of(came) == [Outcome.DAMAGED] * 2
    assert downloads == 6
    assert 1 <= looks <= 2
    assert shop.bill()["submits"] == 1


async def test_an_old_url_is_replaced_before_it_is_tried(shop: SandboxHandle, tmp_path: Path) -> None:
    """Who waited long for a place asks the job first: URLs may live for ten minutes only."""
    async with collector(shop, tmp_path, 2 * URL_FRESH_SECONDS) as (client, collecting):
        request = ImageRequest("a cat")
        job = await ended_job(client, request)
        before = shop.bill()["polls"]
        (image,) = await collecting.collect(job, request.key(), request)
    bill = shop.bill()
    assert isinstance(image, StoredImage)
    assert (bill["polls"] - before, bill["downloads"]) == (1, 1)


async def test_an_old_url_is_tried_where_its_job_cannot_be_read(shop: SandboxHandle, tmp_path: Path) -> None:
    """It may well live for a week."""
    async with collector(shop, tmp_path, 2 * URL_FRESH_SECONDS) as (client, collecting):
        request = ImageRequest("a cat")
        job = await ended_job(client, request)
        shop.set_faults(poll_reset=1)
        (image,) = await collecting.collect(job, request.key(), request)
    assert isinstance(image, StoredImage)


async def test_a_queue_longer_than_a_url_lives_loses_nothing(tmp_path: Path) -> None:
    """Many jobs end at once, one download at a time, and URLs that are short-lived: every image comes."""
    with running_sandbox(
        job_seconds=0, pixels=32, pictures="stamped", url_lifetime_seconds=0.5, slow_download_seconds=0.2
    ) as sandbox:
        sandbox.set_faults(slow_download=1)
        async with collector(sandbox, tmp_path) as (client, collecting):
            requests = [ImageRequest(f"cat {number}") for number in range(8)]
            jobs = [await ended_job(client, request) for request in requests]
            came = await asyncio.gather(
                *(collecting.collect(job, request.key(), request) for job, request in zip(jobs, requests, strict=True))
            )
    assert all(outcomes_of(each) == [Outcome.SUCCEEDED] for each in came)


def test_downloads_that_hang_do_not_hold_up_submitting(tmp_path: Path) -> None:
    """Every row is ordered while no more images than allowed are fetched, or held; and the next run collects them."""
    (tmp_path / "kites.txt").write_text("".join(f"kite number {row}\n" for row in range(ROWS)))
    (tmp_path / "gates.env").write_text(f"TRINETRA_MAX_DOWNLOADS={PLACES}\n")
    words = ("generate", tmp_path / "kites.txt", tmp_path / "kites", "--jobs-in-flight", 5, "--json")
    with running_sandbox(job_seconds=0.05, pixels=32, pictures="stamped", slow_download_seconds=600) as sandbox:
        sandbox.set_faults(slow_download=1)
        with started(*words, "--env-file", tmp_path / "gates.env", sandbox=sandbox) as run:
            wait_until(lambda: all_seen(sandbox), "every job was ordered and seen to its end")
            assert run.poll() is None
            assert sandbox.bill()["downloads"] == PLACES
            run.terminate()
            run.communicate(timeout=30)
        sandbox.set_faults(slow_download=0)
        ended = trinetra(*words, sandbox=sandbox)
        bill = sandbox.bill()
    assert ended.document["outcomes"]["succeeded"] == bill["submits"] == ROWS
    assert not bought_twice(bill)


def all_seen(sandbox: SandboxHandle) -> bool:
    bill = sandbox.bill()
    return bill["submits"] == ROWS and bill["downloads"] >= PLACES and all(job["looks"] for job in bill["jobs"])
