"""Runs in which something of ours breaks: nothing that was bought is lost, and nothing is bought again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from command import started, trinetra, wait_until
from prefect_trinetra.errors import StorageError
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import Job
from prefect_trinetra.outputs import Collected
from prefect_trinetra.preparation import prepare
from prefect_trinetra.publishing import publish
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.run import generate
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.spec import RunLimits, RunSpec
from prefect_trinetra.steps import ProviderSteps
from prefect_trinetra.storage import Storage
from prefect_trinetra.window import ShardWindow, work_on_shard
from runs import QUICK_SETTINGS, account_of, bought_twice, outcomes, prompts, run, view
from troubled_store import TroubledStore, troubled_url

pytestmark = pytest.mark.slow

ROWS = 8


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0.02, pixels=32, pictures="stamped") as handle:
        yield handle


@pytest.fixture
def sandbox(shared_sandbox: SandboxHandle) -> SandboxHandle:
    shared_sandbox.reset()
    return shared_sandbox


class ClumsyCollector(ProviderSteps):
    """Steps of somebody who makes a mistake with every second row's images."""

    async def collect(self, job: Job, key: str, request: ImageRequest) -> list[Collected]:
        if int(request.prompt[-1]) % 2:
            raise ZeroDivisionError("a mistake of ours")
        return await super().collect(job, key, request)


class LostTasks(ProviderSteps):
    """Steps that run as tasks of an orchestrator which cancels every second one by itself."""

    async def poll(
        self, job_id: str, request: ImageRequest, *, age_seconds: float, deadline_seconds: float
    ) -> Job | None:
        if int(request.prompt[-1]) % 2:
            raise asyncio.CancelledError
        return await super().poll(job_id, request, age_seconds=age_seconds, deadline_seconds=deadline_seconds)


@pytest.mark.parametrize("steps", [ClumsyCollector, LostTasks])
def test_a_row_that_breaks_off_is_taken_up_by_the_next_run(
    steps: type[ProviderSteps], sandbox: SandboxHandle, tmp_path: Path
) -> None:
    """Rule: its paid job stays known, counts against the cap, and is collected, never bought again."""
    spec = RunSpec(prompts(ROWS), str(tmp_path), max_credits=7.0 * ROWS, limits=RunLimits(shard_size=4))
    told = run_with(steps, spec, sandbox)
    assert [spent for spent, _ in told] == [28.0, 28.0]
    assert sum(pending for _, pending in told) == ROWS // 2
    report = run(sandbox, prompts(ROWS), tmp_path)
    assert outcomes(report) == {"succeeded": ROWS}
    assert sandbox.bill()["submits"] == ROWS


def run_with(steps: type[ProviderSteps], spec: RunSpec, sandbox: SandboxHandle) -> list[tuple[float, int]]:
    """A whole run with these steps; of each shard what it counts as spent, and how many rows it left pending."""
    account, storage = account_of(sandbox), Storage.open(spec.dataset)
    prepared = prepare(spec, account, QUICK_SETTINGS, "one-run")
    told = []
    with ShardWindow.open(storage, prepared, spec) as window:
        while order := window.next_order():
            shard = io_loop().run(work_on_shard(order, storage, account, QUICK_SETTINGS, make_steps=steps))
            window.settle(shard)
            told.append((shard.spent, shard.outcomes.get("pending", 0)))
        report = publish(spec, storage, prepared.plan, window.left_over)
    assert outcomes(report) == {"succeeded": ROWS // 2, "pending": ROWS // 2}
    return told


@pytest.mark.parametrize(
    "fails", [range(20, 26), range(5, 12), range(2, 90, 3)], ids=["middle", "start", "every third"]
)
def test_a_store_that_fails_for_a_while_loses_nothing(
    fails: Sequence[int], sandbox: SandboxHandle, tmp_path: Path
) -> None:
    """Rule: the run waits or ends with a clear error; then it, or the next one, has everything, and nothing twice."""
    dataset = troubled_url(tmp_path / "dataset")
    TroubledStore.trouble.fails = lambda number: number in fails
    limits = RunLimits(shard_size=4)
    try:
        first: Any = run(sandbox, prompts(ROWS), dataset, limits=limits, lease=False)
    except StorageError as error:
        first = error
    TroubledStore.trouble.fails = lambda _: False
    assert isinstance(first, StorageError) or set(outcomes(first)) <= {"succeeded", "pending"}
    assert outcomes(run(sandbox, prompts(ROWS), dataset, limits=limits, lease=False)) == {"succeeded": ROWS}
    bill = sandbox.bill()
    assert (bill["submits"], bought_twice(bill)) == (ROWS, [])


def test_nothing_is_submitted_after_the_runs_deadline(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: what is in flight is collected, the rest is pending, and the next run goes on."""
    limits = RunLimits(run_deadline_seconds=3, requests_per_minute=300, shard_size=50)
    report = run(sandbox, prompts(30), tmp_path, limits=limits)
    submits = sandbox.bill()["submits"]
    assert outcomes(report) == {"succeeded": submits, "pending": 30 - submits}
    assert 0 < submits < 30
    assert "deadline" in (report.stopped or "")
    # A busy machine may have let a row past the pacer and written its intent by then: it was not sent either.
    assert {row["reason"] for row in view(tmp_path) if row["outcome"] == "pending"} <= {
        "not submitted: the run's deadline has passed",
        "not accepted, try again later: the run's deadline has passed",
    }


def test_a_job_whose_row_was_edited_away_is_collected(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: nothing bought is lost by an edit of the manifest; with the old row back, its image is simply there."""
    sandbox.set_faults(poll_missing=1.0)
    run(sandbox, prompts(3), tmp_path, limits=RunLimits(job_deadline_seconds=0.3))
    sandbox.set_faults(poll_missing=0.0)
    edited = run(sandbox, prompts(1), tmp_path)
    assert (edited.rows, edited.images, outcomes(edited)) == (1, 1, {"succeeded": 1})
    assert len(view(tmp_path)) == 1
    assert len(list((tmp_path / "images").rglob("*.png"))) == 3
    assert outcomes(run(sandbox, prompts(3), tmp_path)) == {"succeeded": 3}
    assert sandbox.bill()["submits"] == 3


def test_an_interrupted_run_is_simply_run_again(tmp_path: Path) -> None:
    """Rule: after Ctrl-C every answer is in the journal: the next run collects, and buys only what was never sent."""
    manifest = tmp_path / "prompts.txt"
    manifest.write_text("".join(f"a kite, number {number}\n" for number in range(60)))
    words = ("generate", manifest, tmp_path / "dataset", "--json", "--yes", "--jobs-in-flight", 8)
    with running_sandbox(job_seconds=0.2, pixels=32, pictures="stamped") as sandbox:
        with started(*words, sandbox=sandbox) as process:
            wait_until(lambda: sandbox.bill()["submits"] >= 20, "twenty rows were submitted")
            process.send_signal(signal.SIGINT)
            process.communicate()
        bought = sandbox.bill()["submits"]
        assert bought < 60
        document = trinetra(*words, sandbox=sandbox).document
        assert document["outcomes"]["succeeded"] == document["images"] == 60
        assert (sandbox.bill()["submits"], bought_twice(sandbox.bill())) == (60, [])


def test_a_run_needs_no_confirmation_to_settle_but_one_to_spend(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: who says no has spent nothing."""
    spec = RunSpec(prompts(3), str(tmp_path))
    assert generate(spec, account_of(sandbox), QUICK_SETTINGS, confirm=lambda plan: plan.bound < 1) is None
    assert sandbox.bill()["submits"] == 0
