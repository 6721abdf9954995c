"""A plan that was saved is carried out as it stands, for no more than its bound, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from command import trinetra
from prefect_trinetra.errors import ConfigurationError, PlanOutdated, TooManyFailures
from prefect_trinetra.plan import Plan
from prefect_trinetra.preparation import plan_only
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.run import generate
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.spec import RunLimits, RunSpec
from runs import QUICK_SETTINGS, account_of, outcomes, prompts, run


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0, pixels=32, pictures="stamped") as handle:
        yield handle


@pytest.fixture
def sandbox(shared_sandbox: SandboxHandle) -> SandboxHandle:
    shared_sandbox.reset()
    return shared_sandbox


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "kites"


def saved(spec: RunSpec) -> Plan:
    """Saved by somebody without a key, as a reviewer is."""
    return plan_only(spec, None, QUICK_SETTINGS, save=True)


def carry_out(sandbox: SandboxHandle, spec: RunSpec, plan: Plan, run_id: str | None = None) -> DatasetReport:
    report = generate(replace(spec, plan_id=plan.id), account_of(sandbox), QUICK_SETTINGS, run_id=run_id)
    assert report is not None
    return report


def stored(dataset: Path) -> set[str]:
    """The plans that lie in a dataset."""
    return {path.parent.name for path in dataset.glob("plans/*/plan.json")}


def test_a_plan_writes_nothing_unless_it_is_saved(dataset: Path) -> None:
    spec = RunSpec(prompts(3), str(dataset))
    plan_only(spec, None, QUICK_SETTINGS)
    assert not dataset.exists()
    assert stored(dataset) | {saved(spec).id} == stored(dataset)


def test_a_saved_plan_is_carried_out(sandbox: SandboxHandle, dataset: Path) -> None:
    """The report names it."""
    spec = RunSpec(prompts(3), str(dataset))
    plan = saved(spec)
    report = carry_out(sandbox, spec, plan)
    assert outcomes(report) == {"succeeded": 3}
    assert (report.applied_plan_id, report.cap, sandbox.bill()["credits"]) == (plan.id, 21.0, 21.0)


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"manifest": prompts(4)}, "the manifest has changed"),
    ({"samples": 2}, "the number of samples"),
    ({"parameters": ImageParameters(n=2)}, "row 1 asks for another picture.*2 other rows alike"),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_a_plan_under_other_terms_is_refused(
    change: dict[str, Any], said: str, sandbox: SandboxHandle, dataset: Path
) -> None:
    """Rule: what differs is named, and nothing is sent."""
    spec = RunSpec(prompts(3), str(dataset))
    plan = saved(spec)
    with pytest.raises(PlanOutdated, match=said):
        carry_out(sandbox, replace(spec, **change), plan)
    assert sandbox.bill()["submits"] == 0


def test_other_prices_are_refused(sandbox: SandboxHandle, dataset: Path) -> None:
    """A reviewer who knew of the account's own prices agreed to another bound."""
    spec = RunSpec(prompts(2), str(dataset))
    cheap = QUICK_SETTINGS.model_copy(update={"credits_per_image": {"medium": 2.5}})
    plan = plan_only(spec, None, cheap, save=True)
    with pytest.raises(PlanOutdated, match=r"row 1 was bounded by 2\.5 credits, and is now by 7\.0"):
        carry_out(sandbox, spec, plan)
    assert sandbox.bill()["submits"] == 0


def test_a_plan_is_refused_where_rows_were_recorded_meanwhile(sandbox: SandboxHandle, dataset: Path) -> None:
    spec = RunSpec(prompts(3), str(dataset))
    plan = saved(spec)
    run(sandbox, prompts(1), dataset)
    with pytest.raises(PlanOutdated, match="row 1 was to buy, and is now to keep"):
        carry_out(sandbox, spec, plan)
    assert sandbox.bill()["submits"] == 1


def test_a_plan_is_carried_out_once(sandbox: SandboxHandle, dataset: Path) -> None:
    spec = RunSpec(prompts(2), str(dataset))
    plan = saved(spec)
    carry_out(sandbox, spec, plan, run_id="the-first")
    with pytest.raises(PlanOutdated, match="was carried out by run the-first"):
        carry_out(sandbox, spec, plan)


def test_a_retried_run_goes_on_with_its_plan(sandbox: SandboxHandle, dataset: Path) -> None:
    """Rule: what it has recorded itself is no change, and the bound holds for all its tries together."""
    sandbox.set_faults(failed_jobs=1)
    spec = RunSpec(prompts(3), str(dataset))
    plan = saved(spec)
    with pytest.raises(TooManyFailures):
        carry_out(sandbox, spec, plan, run_id="one-run")
    sandbox.set_faults(failed_jobs=0)
    assert outcomes(carry_out(sandbox, spec, plan, run_id="one-run")) == {"succeeded": 3}
    assert sandbox.bill()["credits"] == plan.bound


def test_no_more_is_spent_than_the_plan_said(sandbox: SandboxHandle, dataset: Path) -> None:
    """Rule: a person agreed to its bound; a higher cap does not lift it."""
    spec = RunSpec(prompts(5), str(dataset), max_credits=15)
    plan = saved(spec)
    report = carry_out(sandbox, replace(spec, max_credits=None), plan)
    assert plan.spend_at_most == 15
    assert outcomes(report) == {"succeeded": 2, "over_budget": 3}
    assert sandbox.bill()["credits"] == 14


def test_a_saved_plan_outlives_runs_until_it_is_applied(sandbox: SandboxHandle, dataset: Path) -> None:
    """Plans that lead to nothing are dropped; one that waits for a person is not."""
    spec = RunSpec(prompts(2), str(dataset))
    run(sandbox, spec.manifest, dataset)
    wanted = replace(spec, manifest=prompts(3))
    plan = saved(wanted)
    run(sandbox, spec.manifest, dataset)
    run(sandbox, spec.manifest, dataset)
    assert plan.id in stored(dataset)
    assert outcomes(carry_out(sandbox, wanted, plan)) == {"succeeded": 3}
    run(sandbox, spec.manifest, dataset)
    assert plan.id not in stored(dataset)


def test_a_plan_that_is_saved_takes_the_place_of_the_last(dataset: Path) -> None:
    spec = RunSpec(prompts(2), str(dataset))
    first, second = saved(spec), saved(spec)
    assert stored(dataset) == {second.id} != {first.id}


def test_a_plan_that_is_not_there_is_said_so(sandbox: SandboxHandle, dataset: Path) -> None:
    """With the one that is; a plan of a run is none that somebody saved."""
    spec = RunSpec(prompts(2), str(dataset))
    ran = run(sandbox, spec.manifest, dataset)
    plan = saved(spec)
    for name in ("unheard-of", "../dataset", ran.plan_id):
        with pytest.raises(ConfigurationError, match=f"no saved plan {name}.*{plan.id}"):
            carry_out(sandbox, replace(spec, limits=RunLimits()), replace(plan, id=name))


def test_saving_and_applying_on_the_command_line(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """`plan --save` prints the id; a plan that is outdated ends with status 2 before anything is sent."""
    manifest = tmp_path / "kites.txt"
    manifest.write_text("a red kite\na blue kite\n")
    plan = trinetra("plan", manifest, tmp_path / "kites", "--save", "--json").document
    assert plan["saved"]
    manifest.write_text("a red kite\n")
    command = ("generate", manifest, tmp_path / "kites", "--plan", plan["plan_id"], "--json")
    refused = trinetra(*command, sandbox=sandbox)
    assert refused.status == 2
    assert "the manifest has changed" in refused.stderr
    manifest.write_text("a red kite\na blue kite\n")
    assert trinetra(*command, sandbox=sandbox).document["applied_plan_id"] == plan["plan_id"]
    assert sandbox.bill()["credits"] == 14
