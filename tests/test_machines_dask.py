"""Shards on a Dask cluster of processes: the same dataset, the same bill, also where a worker is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster
from prefect_dask.task_runners import DaskTaskRunner

from command import wait_until
from machines import (
    CAP_CREDITS,
    FIT,
    LIMITS,
    QUICK_TAKEOVER,
    ROWS,
    decided,
    manifest,
    ordered,
    pictures,
    saved_credentials,
)
from orchestra import credentials_of
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.flows import agenerate_dataset, generate_dataset
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from runs import bought_twice

pytestmark = [pytest.mark.slow, pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture(scope="module")
def cluster(prefect_server: Path) -> Iterator[str]:
    """Two workers, each a process of its own; the scheduler's address."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK_TAKEOVER.items():
            patch.setenv(name, value)
        options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with LocalCluster(n_workers=2, **options) as started:  # type: ignore[no-untyped-call]
            yield started.scheduler_address


@pytest.fixture(scope="module")
def shop() -> Iterator[SandboxHandle]:
    """Quick jobs, unless a test needs to catch them under way."""
    with running_sandbox(job_seconds=0.1, job_sigma=0, pixels=32) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _empty_bill(shop: SandboxHandle) -> None:
    shop.reset()
    shop.set_pace(0.1)


def on_dask(cluster: str) -> Any:
    return DaskTaskRunner(address=cluster)


def test_the_dataset_is_that_of_threads(cluster: str, shop: SandboxHandle, tmp_path: Path) -> None:
    """Byte for byte, for the same credits; and the cap holds, whoever works."""
    credentials = saved_credentials(shop, "on-dask")
    kept: list[tuple[Any, ...]] = []
    for runner, folder in ((None, tmp_path / "threads"), (on_dask(cluster), tmp_path / "dask")):
        shop.reset()
        flow = generate_dataset.with_options(task_runner=runner)
        capped = flow(manifest(), str(folder), credentials, limits=LIMITS, max_credits=CAP_CREDITS, row_tasks=0)
        assert (capped.outcomes["succeeded"], shop.bill()["credits"]) == (FIT, CAP_CREDITS)
        assert flow(manifest(), str(folder), credentials, limits=LIMITS, row_tasks=0).is_complete
        assert (shop.bill()["submits"], shop.bill()["images"]) == (ROWS, ROWS)
        kept.append((pictures(folder), decided(folder)))
    assert kept[0] == kept[1]


async def test_a_killed_worker_costs_nothing(cluster: str, shop: SandboxHandle, tmp_path: Path) -> None:
    """Its shard goes to another one, which collects the jobs that were out."""
    shop.set_pace(3)
    credentials = await asyncio.to_thread(saved_credentials, shop, "on-dask")
    flow = agenerate_dataset.with_options(task_runner=on_dask(cluster))
    running = asyncio.ensure_future(
        flow(manifest(), str(tmp_path / "set"), credentials, limits=LIMITS, row_tasks=0, shards_in_flight=2)
    )
    await asyncio.to_thread(wait_until, lambda: ordered(tmp_path / "set") >= 3, "both workers have ordered")
    await asyncio.to_thread(kill_one, cluster)
    assert (await running).is_complete
    assert shop.bill()["images"] == ROWS
    assert not bought_twice(shop.bill())


def kill_one(cluster: str) -> None:
    with Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        pids = client.run(os.getpid)
    os.kill(min(pids.values()), signal.SIGKILL)


def test_secrets_stay_here(cluster: str, shop: SandboxHandle, tmp_path: Path) -> None:
    """A block that was never saved would travel with what it holds: refused before anything is sent."""
    flow = generate_dataset.with_options(task_runner=on_dask(cluster))
    with pytest.raises(ConfigurationError, match="not saved"):
        flow(manifest(), str(tmp_path), credentials_of(shop))
    with pytest.raises(ConfigurationError, match="memory of this process"):
        flow(manifest(), "memory://cats", saved_credentials(shop, "on-dask"))
    assert shop.bill()["submits"] == 0
