"""Shards as flow runs on a work pool: the same dataset and bill, also where a worker, or their parent, is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled

from command import wait_until
from deployed import Orchestra, processes_of
from machines import decided, ordered, pictures, saved_credentials
from orchestra import credentials_of
from prefect_trinetra.blocks import TrinetraCredentials
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.flows import agenerate_dataset
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.spec import RunLimits
from runs import bought_twice, prompts, run
from tree import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "deployments").is_dir(), reason="deployments/ is not here"),
]

LIMITS = RunLimits(shard_size=4, jobs_in_flight=2)
POOL = "generate-shard/pool"


@pytest.fixture
def store(orchestra: Orchestra) -> SandboxHandle:
    orchestra.sandbox.reset()
    orchestra.sandbox.set_pace(4)
    return orchestra.sandbox


@pytest.fixture
def credentials(orchestra: Orchestra, store: SandboxHandle) -> Iterator[TrinetraCredentials]:
    """A saved block, with this process's flows on the same server as the workers."""
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: orchestra.url}):
        patch.setenv("TRINETRA_LEASE_SECONDS", orchestra.environment["TRINETRA_LEASE_SECONDS"])
        yield saved_credentials(store, "on-a-pool")


def generate(dataset: Path, rows: int, credentials: TrinetraCredentials) -> asyncio.Future[DatasetReport]:
    """A run in this process, with its shards on the pool."""
    return asyncio.ensure_future(
        agenerate_dataset(
            prompts(rows, "a stork"), str(dataset), credentials, limits=LIMITS, row_tasks=0, shard_deployment=POOL
        )
    )


async def until_ordered(dataset: Path, shard: str) -> None:
    """Until a shard has as many jobs out as it may."""
    is_full = partial(_has_ordered, dataset, shard)
    await asyncio.to_thread(wait_until, is_full, f"shard {shard} has ordered", pause_seconds=0.5)


def _has_ordered(dataset: Path, shard: str) -> bool:
    return ordered(dataset, shard) >= LIMITS.jobs_in_flight


def shards_of(orchestra: Orchestra, parent: UUID) -> list[FlowRun]:
    """The runs of a run's shards, in the order in which they were started."""
    mine = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent]))
    with orchestra.client() as client:
        return sorted(client.read_flow_runs(flow_run_filter=mine), key=lambda run: str(run.created))


def signal_run(flow_run_id: UUID, which: signal.Signals) -> None:
    for pid in processes_of(flow_run_id):
        os.kill(pid, which)


async def test_lost_workers_cost_nothing(
    orchestra: Orchestra, store: SandboxHandle, credentials: TrinetraCredentials, tmp_path: Path
) -> None:
    """One is killed, one freezes and wakes up when others have its shard; the dataset is that of one process."""
    running = generate(tmp_path / "pool", 8, credentials)
    await until_ordered(tmp_path / "pool", "00000")
    await until_ordered(tmp_path / "pool", "00001")
    parent = await asyncio.to_thread(parent_of_latest, orchestra)
    killed, frozen = await asyncio.to_thread(shards_of, orchestra, parent)
    signal_run(killed.id, signal.SIGKILL)
    signal_run(frozen.id, signal.SIGSTOP)
    report = await running
    signal_run(frozen.id, signal.SIGCONT)
    await asyncio.to_thread(wait_until, lambda: not processes_of(frozen.id), "the frozen one ended", pause_seconds=0.5)
    assert report.is_complete
    assert store.bill()["images"] == 8
    assert not bought_twice(store.bill())
    runs = await asyncio.to_thread(shards_of, orchestra, parent)
    assert {run.name for run in runs if run.state and run.state.is_completed()} == {killed.name, frozen.name}
    assert len(runs) >= 4  # one more for each that starved on a busy machine so long that it looked dead
    store.reset()  # a sandbox paints another picture for a prompt that comes again
    await asyncio.to_thread(run, store, prompts(8, "a stork"), tmp_path / "alone")
    assert pictures(tmp_path / "pool") == pictures(tmp_path / "alone")
    assert decided(tmp_path / "pool") == decided(tmp_path / "alone")


def parent_of_latest(orchestra: Orchestra) -> UUID:
    """The run that a deployment has started none of."""
    with orchestra.client() as client:
        mine = [run for run in client.read_flow_runs() if run.deployment_id is None]
    return max(mine, key=lambda run: str(run.created)).id


async def test_a_cancelled_run_cancels_its_shards(
    orchestra: Orchestra, store: SandboxHandle, credentials: TrinetraCredentials, tmp_path: Path
) -> None:
    """What they ordered is collected by the next run."""
    running = generate(tmp_path / "set", 4, credentials)
    await until_ordered(tmp_path / "set", "00000")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (child,) = await asyncio.to_thread(shards_of, orchestra, await asyncio.to_thread(parent_of_latest, orchestra))
    await asyncio.to_thread(orchestra.wait_for, child.id, "Cancelled", "Crashed")
    await asyncio.to_thread(run, store, prompts(4, "a stork"), tmp_path / "set")
    assert store.bill()["images"] == 4
    assert not bought_twice(store.bill())


def test_a_killed_parent_is_gone_on_with(orchestra: Orchestra, store: SandboxHandle) -> None:
    """Its shards go on by themselves; tried again it waits for them, and starts none anew."""
    parent = orchestra.start(
        "generate-dataset/collection",
        manifest=prompts(4, "a stork"),
        manifest_storage=None,
        dataset="orphans",
        approve_above=None,
        limits=LIMITS.model_dump(),
        row_tasks=0,
        shard_deployment=POOL,
    )
    wait_until(partial(_has_ordered, orchestra.data / "orphans", "00000"), "the shard has ordered", pause_seconds=0.5)
    signal_run(parent, signal.SIGKILL)
    wait_until(lambda: _has_completed(orchestra, parent), "the parent has completed", pause_seconds=0.5)
    assert store.bill()["images"] == 4
    assert not bought_twice(store.bill())
    assert [child.state_name for child in shards_of(orchestra, parent)] == ["Completed"]


def _has_completed(orchestra: Orchestra, parent: UUID) -> bool:
    """Tries a crashed run again, as a person does. Prefect's worker tells of a crash twice, so one try may not do."""
    with orchestra.client() as client:
        state = client.read_flow_run(parent).state
        if state is not None and state.is_crashed():
            client.set_flow_run_state(parent, Scheduled(name="AwaitingRetry"), force=True)
    return state is not None and state.is_completed()


async def test_what_can_not_work_is_refused_at_once(
    store: SandboxHandle, credentials: TrinetraCredentials, tmp_path: Path
) -> None:
    """Before anything is sent, in a sentence."""
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("which is not deployed", {"shard_deployment": "generate-shard/pond"}),
        ("no deployment of generate-shard", {"shard_deployment": "generate-dataset/collection"}),
        ("is not saved", {"credentials": credentials_of(store)}),
        ("without a lease", {"lease": False}),
        ("memory of this process", {"dataset": "memory://storks"}),
    ]
    for words, parameters in wrong:
        asked: dict[str, Any] = {"dataset": str(tmp_path), "credentials": credentials, "shard_deployment": POOL}
        with pytest.raises(ConfigurationError, match=words):
            await agenerate_dataset(prompts(1), **asked | parameters)
    assert store.bill()["submits"] == 0
