"""Shards on a local Ray cluster: the same dataset, the same bill, also where a worker is killed.

Ray weighs 200 MB and starts in 20 seconds, so CI leaves it out: `pip install -e '.[ray]'`, and these tests run, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command import wait_until
from machines import LIMITS, QUICK_TAKEOVER, ROWS, decided, manifest, ordered, pictures, saved_credentials
from prefect_trinetra.flows import agenerate_dataset, generate_dataset
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from runs import bought_twice

ray = pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.prefect,
    pytest.mark.usefixtures("prefect_server", "cluster"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def cluster(prefect_server: Path) -> Iterator[None]:
    """Two workers, each a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK_TAKEOVER.items():
            patch.setenv(name, value)
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def shop() -> Iterator[SandboxHandle]:
    """Quick jobs, unless a test needs to catch them under way."""
    with running_sandbox(job_seconds=0.1, job_sigma=0, pixels=32) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _empty_bill(shop: SandboxHandle) -> None:
    shop.reset()
    shop.set_pace(0.1)


def on_ray() -> Any:
    from prefect_ray.task_runners import RayTaskRunner

    return RayTaskRunner()


def test_the_dataset_is_that_of_threads(shop: SandboxHandle, tmp_path: Path) -> None:
    """Byte for byte, for the same credits."""
    credentials = saved_credentials(shop, "on-ray")
    for runner, folder in ((None, tmp_path / "threads"), (on_ray(), tmp_path / "ray")):
        shop.reset()
        flow = generate_dataset.with_options(task_runner=runner)
        assert flow(manifest(), str(folder), credentials, limits=LIMITS, row_tasks=0).is_complete
        assert (shop.bill()["submits"], shop.bill()["images"]) == (ROWS, ROWS)
    assert pictures(tmp_path / "ray") == pictures(tmp_path / "threads")
    assert decided(tmp_path / "ray") == decided(tmp_path / "threads")


async def test_a_killed_worker_costs_nothing(shop: SandboxHandle, tmp_path: Path) -> None:
    """Its shard goes to another one, which collects the jobs that were out."""
    shop.set_pace(3)
    credentials = await asyncio.to_thread(saved_credentials, shop, "on-ray")
    flow = agenerate_dataset.with_options(task_runner=on_ray())
    running = asyncio.ensure_future(flow(manifest(), str(tmp_path / "set"), credentials, limits=LIMITS, row_tasks=0))
    await asyncio.to_thread(wait_until, lambda: ordered(tmp_path / "set") >= 3, "both workers have ordered")
    busy = [each for each in psutil.Process().children(recursive=True) if "ray::" in " ".join(each.cmdline())]
    max(busy, key=lambda each: "generate_shard" in " ".join(each.cmdline())).kill()
    assert (await running).is_complete
    assert shop.bill()["images"] == ROWS
    assert not bought_twice(shop.bill())
