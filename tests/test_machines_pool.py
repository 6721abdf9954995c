"""Shards as flow runs on a work pool: the same dataset and bill, also where a worker, or their parent, is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling, Scheduled

from command import wait_until
from deployed import Orchestra
from machines import decided, ordered, pictures
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.spec import RunLimits
from runs import bought_twice, prompts, run
from server_process import ServerProcess, running
from tree import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "deployments").is_dir(), reason="deployments/ is not here"),
]

LIMITS = RunLimits(shard_size=4, jobs_in_flight=2)


@pytest.fixture
def store(orchestra: Orchestra) -> SandboxHandle:
    orchestra.sandbox.reset()
    orchestra.sandbox.set_pace(2)
    return orchestra.sandbox


@pytest.fixture
def workers(orchestra: Orchestra) -> Iterator[list[ServerProcess]]:
    """Two workers that take one shard each, as on two machines."""
    with orchestra.client() as client, ExitStack() as stack:
        shards = client.read_deployment_by_name("generate-shard/pool")
        orchestra.command("-m", "prefect", "work-pool", "create", "--type", "process", "shards", "--overwrite")
        client.update_deployment(shards.id, DeploymentUpdate(work_pool_name="shards"))
        yield [
            stack.enter_context(running(orchestra.worker(name, "shards", "--limit", "1"))) for name in ("one", "two")
        ]
        client.update_deployment(shards.id, DeploymentUpdate(work_pool_name="images"))


def start(orchestra: Orchestra, dataset: str, rows: int) -> UUID:
    parameters: dict[str, Any] = {
        "manifest": prompts(rows, "a stork"),
        "manifest_storage": None,
        "dataset": dataset,
        "approve_above": None,
        "row_tasks": 0,
        "limits": LIMITS.model_dump(),
        "shard_deployment": "generate-shard/pool",
    }
    return orchestra.start("generate-dataset/collection", **parameters)


def shards_of(orchestra: Orchestra, parent: UUID) -> list[FlowRun]:
    mine = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent]))
    with orchestra.client() as client:
        return client.read_flow_runs(flow_run_filter=mine)


def _has_ordered(dataset: Path, shard: str = "00000") -> bool:
    return ordered(dataset, shard) >= LIMITS.jobs_in_flight


def kill_process_of(flow_run_id: UUID) -> None:
    """The process of a flow run, as when its machine is lost."""
    mark = f"PREFECT__FLOW_RUN_ID={flow_run_id}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_mine = mark in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if is_mine:
            os.kill(int(folder.name), signal.SIGKILL)


def test_a_killed_worker_costs_nothing(
    orchestra: Orchestra, store: SandboxHandle, workers: list[ServerProcess], tmp_path: Path
) -> None:
    """Nobody tells of its end but its lease. The other one takes its shard; the dataset is that of one process."""
    store.set_pace(5)
    parent = start(orchestra, "storks", 8)
    for shard in ("00000", "00001"):
        wait_until(partial(_has_ordered, orchestra.data / "storks", shard), f"shard {shard} has ordered")
    workers[0].kill()
    orchestra.wait_for(parent, "Completed")
    assert store.bill()["images"] == 8
    assert not bought_twice(store.bill())
    assert sorted(child.state_name or "" for child in shards_of(orchestra, parent)) == [
        "Completed",
        "Completed",
        "Crashed",
    ]
    run(store, prompts(8, "a stork"), tmp_path / "alone")
    assert pictures(orchestra.data / "storks") == pictures(tmp_path / "alone")
    assert decided(orchestra.data / "storks") == decided(tmp_path / "alone")


def test_a_killed_parent_is_gone_on_with(orchestra: Orchestra, store: SandboxHandle) -> None:
    """Its shards go on by themselves; tried again it waits for them, and starts none anew."""
    parent = start(orchestra, "orphans", 4)
    wait_until(lambda: _has_ordered(orchestra.data / "orphans"), "the shard has ordered")
    kill_process_of(parent)
    orchestra.wait_for(parent, "Crashed")
    with orchestra.client() as client:
        client.set_flow_run_state(parent, Scheduled(name="AwaitingRetry"), force=True)
    orchestra.wait_for(parent, "Completed")
    assert store.bill()["images"] == 4
    assert not bought_twice(store.bill())
    assert [child.state_name for child in shards_of(orchestra, parent)] == ["Completed"]


def test_a_cancelled_parent_cancels_its_shards(orchestra: Orchestra, store: SandboxHandle) -> None:
    """What they ordered is collected by the next run."""
    parent = start(orchestra, "cancelled", 4)
    wait_until(lambda: _has_ordered(orchestra.data / "cancelled"), "the shard has ordered")
    with orchestra.client() as client:
        client.set_flow_run_state(parent, Cancelling())
    orchestra.wait_for(parent, "Cancelled", "Crashed")
    (child,) = shards_of(orchestra, parent)
    orchestra.wait_for(child.id, "Cancelled", "Crashed")
    run(store, prompts(4, "a stork"), orchestra.data / "cancelled")
    assert store.bill()["images"] == 4
    assert not bought_twice(store.bill())
