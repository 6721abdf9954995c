"""The cap holds, whatever fails and however many shards are in flight; and it is used."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefect_trinetra.prices import price_bound
from prefect_trinetra.request import ImageParameters, ImageRequest
from prefect_trinetra.run import generate
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.spec import RunLimits, RunSpec
from runs import QUICK_SETTINGS, account_of, bought_twice, outcomes, prompts, run

MANY_SHARDS = RunLimits(shard_size=3, jobs_in_flight=8)


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0.02, pixels=32, pictures="stamped") as handle:
        yield handle


@pytest.fixture
def sandbox(shared_sandbox: SandboxHandle) -> SandboxHandle:
    shared_sandbox.reset()
    return shared_sandbox


def mixed(count: int) -> list[dict[str, Any]]:
    """Rows of every quality and n, in an order that is told by the seed."""
    chance = random.Random(7)  # noqa: S311  # seeded, so that the test is the same each time
    return [
        row | {"quality": chance.choice(["low", "medium", "high", "auto"]), "n": chance.randint(1, 4)}
        for row in prompts(count)
    ]


def test_the_cap_holds_and_is_used_by_a_mix_of_prices(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: the bill never passes the cap, and what is left of it does not cover the cheapest row left over."""
    rows = mixed(40)
    report = run(sandbox, rows, tmp_path, max_credits=300.0, limits=MANY_SHARDS)
    bill = sandbox.bill()
    assert report.credits_charged == bill["credits"] <= 300.0
    ordered = {entry["body"]["prompt"] for entry in bill["bodies"]}
    left = [price_bound(ImageRequest(**row)) for row in rows if row["prompt"] not in ordered]
    assert len(left) == report.outcomes["over_budget"] > 0
    assert 300.0 - bill["credits"] < min(left)


def test_the_cap_holds_where_jobs_fail_and_answers_are_lost(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: failed jobs give their credits back, an unknown POST counts at its bound; so the bill stays below."""
    sandbox.set_faults(failed_jobs=0.3, lost_answer=0.2, error_before=0.1, missing_credits=0.2)
    report = run(sandbox, mixed(40), tmp_path, max_credits=250.0, limits=MANY_SHARDS)
    assert sandbox.bill()["credits"] <= 250.0
    assert report.outcomes["unknown"] > 0
    assert report.outcomes["failed"] > 0
    assert report.credits_unknown > 0


def test_a_repeated_run_of_one_id_sees_what_it_has_spent(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: the cap belongs to the run's id, which its retries share; a new run has a cap of its own."""
    spec = RunSpec(prompts(10), str(tmp_path), max_credits=28.0, limits=MANY_SHARDS)
    for _ in range(3):
        report = generate(spec, account_of(sandbox), QUICK_SETTINGS, run_id="one-run")
        assert report is not None
        assert outcomes(report) == {"succeeded": 4, "over_budget": 6}
        assert sandbox.bill()["credits"] == report.credits_charged == 28.0
    assert outcomes(run(sandbox, prompts(10), tmp_path, max_credits=28.0)) == {"succeeded": 8, "over_budget": 2}


def test_a_retry_counts_jobs_whose_end_it_has_not_seen(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: what is pending counts at its bound, and once it is charged the cap is used to the end, not beyond."""
    sandbox.set_faults(stuck_jobs=1.0)
    limits = RunLimits(shard_size=2, job_deadline_seconds=0.3)
    spec = RunSpec(prompts(6), str(tmp_path), max_credits=21.0, limits=limits)
    first = generate(spec, account_of(sandbox), QUICK_SETTINGS, run_id="one-run")
    assert first is not None
    assert outcomes(first) == {"pending": 3, "over_budget": 3}
    sandbox.set_faults(stuck_jobs=0.0)
    again = generate(spec, account_of(sandbox), QUICK_SETTINGS, run_id="one-run")
    assert again is not None
    assert outcomes(again) == {"pending": 3, "over_budget": 3}
    assert sandbox.bill()["submits"] == 3


def test_a_lowered_cap_still_collects_what_was_bought(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: collecting is free, so no cap keeps a paid image out."""
    sandbox.set_faults(poll_missing=1.0)
    limits = RunLimits(job_deadline_seconds=0.3)
    spec = RunSpec(prompts(3), str(tmp_path), max_credits=21.0, limits=limits)
    generate(spec, account_of(sandbox), QUICK_SETTINGS, run_id="one-run")
    sandbox.set_faults(poll_missing=0.0)
    lowered = RunSpec(prompts(3), str(tmp_path), max_credits=7.0)
    report = generate(lowered, account_of(sandbox), QUICK_SETTINGS, run_id="one-run")
    assert report is not None
    assert outcomes(report) == {"succeeded": 3}
    assert sandbox.bill()["submits"] == 3


def test_a_cap_of_nothing_buys_nothing(sandbox: SandboxHandle, tmp_path: Path) -> None:
    assert outcomes(run(sandbox, prompts(3), tmp_path, max_credits=0.0)) == {"over_budget": 3}
    assert sandbox.bill()["submits"] == 0


def test_an_account_that_runs_dry_refuses_no_row_for_good(tmp_path: Path) -> None:
    """Rule: the words of a 402 differ from row to row, and none of them sticks: after a top-up all are bought."""
    rows = [row | {"quality": quality} for row, quality in zip(prompts(24), ["high", "medium", "low"] * 8, strict=True)]
    with running_sandbox(job_seconds=0.02, pixels=32, pictures="stamped", balance=50) as sandbox:
        first = run(sandbox, rows, tmp_path)
        assert "402" in (first.stopped or "")
        sandbox.top_up(1_000)
        assert outcomes(run(sandbox, rows, tmp_path)) == {"succeeded": 24}
        assert not bought_twice(sandbox.bill())


def test_parameters_that_cost_more_are_bounded_by_what_they_cost(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: quality auto counts at the highest tier until the bill says less, and then admits more rows."""
    report = run(
        sandbox,
        prompts(12),
        tmp_path,
        max_credits=30.0,
        parameters=ImageParameters(quality="auto"),
        limits=RunLimits(shard_size=1, jobs_in_flight=1),
    )
    assert sandbox.bill()["credits"] <= 30.0
    assert 30.0 - sandbox.bill()["credits"] < 14.0
    assert report.outcomes["succeeded"] + report.outcomes["over_budget"] == 12
