"""The flow, on Prefect's temporary server, against the sandbox; its bill is what counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect import flow
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_RESULTS_PERSIST_BY_DEFAULT, temporary_settings
from prefect.task_runners import PrefectTaskRunner, ProcessPoolTaskRunner

from orchestra import artifacts, credentials_of, latest_flow_run, task_runs
from prefect_trinetra.blocks import DatasetStorage
from prefect_trinetra.errors import ConfigurationError, TooManyFailures
from prefect_trinetra.flows import agenerate_dataset, generate_dataset
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.spec import RunLimits
from prefect_trinetra.tasks import read_records, write_manifest
from runs import bought_twice, prompts

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


def test_a_small_run_shows_every_step_of_every_row(shop: SandboxHandle, tmp_path: Path) -> None:
    """Three task runs a row, named by row; a progress bar, a summary; and no secret in what Prefect keeps."""
    rows = [*prompts(3), {"prompt": "forbidden-by-moderation"}]
    report = generate_dataset(rows, str(tmp_path / "Small Cats"), credentials_of(shop), tolerated_failures=0.5)
    assert (report.outcomes["succeeded"], report.outcomes["refused"]) == (3, 1)
    run = latest_flow_run("generate Small Cats")
    assert report.run_id == str(run.id)
    names = sorted(task.name.rpartition("-")[0] or task.name for task in task_runs(run.id))
    steps = [f"{step} row {row}" for step in ("download", "poll", "submit") for row in (1, 2, 3)]
    assert names == sorted([*steps, "submit row 4", "shard 1 of 1", "plan", "publish"])
    shown = artifacts(run.id)
    assert shown["small-cats-progress"] == 100
    assert "| refused | 1 |" in shown["small-cats-summary"]
    assert shop.api_key not in f"{run.model_dump_json()}{shown}"


def test_a_run_above_row_tasks_shows_shards_alone(shop: SandboxHandle, tmp_path: Path) -> None:
    """A task run a row would cost more than the row."""
    limits = RunLimits(shard_size=2)
    report = generate_dataset(prompts(6), str(tmp_path / "shards"), credentials_of(shop), limits=limits, row_tasks=5)
    assert report.is_complete
    names = {task.name for task in task_runs(latest_flow_run("generate shards").id)}
    assert {"shard 1 of 3", "shard 2 of 3", "shard 3 of 3"} < names
    assert not [name for name in names if "row" in name]


def test_a_retried_flow_run_tries_the_failed_rows_again(shop: SandboxHandle, tmp_path: Path) -> None:
    """Also where Prefect persists every task's result: the old reports are not taken for new ones."""
    shop.set_faults(failed_jobs=1)
    with temporary_settings({PREFECT_RESULTS_PERSIST_BY_DEFAULT: True}), pytest.raises(TooManyFailures) as failed:
        generate_dataset.with_options(retries=1)(prompts(2), str(tmp_path / "again"), credentials_of(shop))
    assert shop.bill()["submits"] == 4
    assert failed.value.report.outcomes["failed"] == 2


def test_the_cap_holds_across_the_retries_of_a_flow_run(shop: SandboxHandle, tmp_path: Path) -> None:
    """They share one run id, so what the first try spent is spent."""
    shop.set_faults(html=1)
    with pytest.raises(TooManyFailures) as failed:
        generate_dataset.with_options(retries=1)(
            prompts(4), str(tmp_path / "capped"), credentials_of(shop), max_credits=14, row_tasks=0
        )
    assert failed.value.report.credits_charged == shop.bill()["credits"] == 14


async def test_rows_left_over_are_no_failure(shop: SandboxHandle, tmp_path: Path) -> None:
    """The state is named for them, the caller (here with an event loop running, as in a notebook) gets the report, and
    the next run goes on.
    """
    arguments = (prompts(3), str(tmp_path / "leftovers"), credentials_of(shop))
    assert generate_dataset(*arguments, max_credits=15).outcomes["over_budget"] == 1
    run = latest_flow_run("generate leftovers")
    assert (run.state_name, run.state_type) == ("LeftOver: 1 over_budget", StateType.COMPLETED)
    assert generate_dataset(*arguments).is_complete
    assert shop.bill()["submits"] == 3


def test_a_dry_run_sends_and_writes_nothing(shop: SandboxHandle, tmp_path: Path) -> None:
    """It reports what a run would do."""
    report = generate_dataset(prompts(3), str(tmp_path / "cats"), credentials_of(shop), max_credits=15, dry_run=True)
    assert (report.outcomes["pending"], report.outcomes["over_budget"], report.credits_bound) == (2, 1, 15)
    assert not (tmp_path / "cats").exists()
    assert shop.bill()["submits"] == 0


def test_shards_run_in_other_processes(shop: SandboxHandle, tmp_path: Path) -> None:
    """With blocks that nobody stored, and a dataset named relative to its storage."""
    runner: Any = ProcessPoolTaskRunner(max_workers=1)
    flow_in_processes = generate_dataset.with_options(task_runner=runner)
    report = flow_in_processes(
        prompts(4),
        "cats",
        credentials_of(shop),
        DatasetStorage(root=str(tmp_path)),
        limits=RunLimits(shard_size=2),
        row_tasks=0,
    )
    assert report.is_complete
    assert (tmp_path / "cats" / "metadata.parquet").is_file()
    assert shop.bill()["submits"] == 4


def test_remote_task_runners_are_refused_without_a_lease(shop: SandboxHandle, tmp_path: Path) -> None:
    """Before anything is sent: two machines could buy the same row."""
    runner: Any = PrefectTaskRunner()  # type: ignore[no-untyped-call]  # Prefect's own
    with pytest.raises(ConfigurationError, match="PrefectTaskRunner"):
        generate_dataset.with_options(task_runner=runner)(prompts(1), str(tmp_path), credentials_of(shop), lease=False)
    assert shop.bill()["submits"] == 0


def test_two_flow_runs_of_one_dataset_take_turns(shop: SandboxHandle, tmp_path: Path) -> None:
    """The second waits for the first, and finds nothing to do."""
    arguments = (prompts(4), str(tmp_path / "cats"), credentials_of(shop))

    async def both() -> list[DatasetReport]:
        return list(await asyncio.gather(agenerate_dataset(*arguments), agenerate_dataset(*arguments)))

    reports = asyncio.run(both())
    assert [report.is_complete for report in reports] == [True, True]
    assert sorted(report.kept for report in reports) == [0, 4]
    assert shop.bill()["submits"] == 4


async def test_it_is_a_step_of_a_larger_flow(shop: SandboxHandle, tmp_path: Path) -> None:
    """A table becomes a manifest, a future of it an argument, the dataset a table again."""
    table = pd.DataFrame({"caption": ["a cat", "a dog"], "label": [0, 1]})

    @flow
    async def larger() -> DatasetReport:
        # Prefect hands on what the future holds, and its annotations don't say so.
        manifest: Any = write_manifest.submit(table, str(tmp_path / "manifests"))
        return await agenerate_dataset(
            manifest,
            str(tmp_path / "cats"),
            credentials_of(shop),
            columns={"prompt": "caption"},
            parameters=ImageParameters(quality="low"),
        )

    report = await larger()
    records = await asyncio.to_thread(read_records, report)
    assert report.credits_charged == 6
    assert records.column("outcome").to_pylist() == ["succeeded", "succeeded"]
    assert shop.bill()["submits"] == 2


@pytest.fixture
def slow_shop() -> Iterator[SandboxHandle]:
    """Jobs that take long enough to be caught under way."""
    with running_sandbox(job_seconds=3, job_sigma=0, pixels=32) as sandbox:
        yield sandbox


def wait_until_bought(shop: SandboxHandle, jobs: int) -> None:
    deadline = time.monotonic() + 30
    while shop.bill()["jobs_accepted"] < jobs:
        assert time.monotonic() < deadline, f"{jobs} jobs were not ordered within 30 s"
        time.sleep(0.05)


async def test_a_cancelled_run_is_gone_on_with(slow_shop: SandboxHandle, tmp_path: Path) -> None:
    """What was ordered is collected by the next run, and not ordered again."""
    arguments = (prompts(4), str(tmp_path / "cats"), credentials_of(slow_shop))
    running = asyncio.ensure_future(agenerate_dataset(*arguments, row_tasks=0))
    await asyncio.to_thread(wait_until_bought, slow_shop, 4)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await agenerate_dataset(*arguments)).is_complete
    assert not bought_twice(slow_shop.bill())
