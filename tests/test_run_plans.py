"""The plans that runs leave in their dataset."""

from __future__ import annotations

from pathlib import Path

from prefect_trinetra.request import ImageParameters
from prefect_trinetra.sandbox.process import running_sandbox
from runs import prompts, run


def plans(dataset: Path) -> set[str]:
    return {path.name for path in (dataset / "plans").iterdir() if any(path.iterdir())}


def test_runs_with_nothing_to_do_leave_one_plan_behind(tmp_path: Path) -> None:
    """Rule: a plan that led to shards stays; of the idle ones the latest does, however often a schedule comes by."""
    with running_sandbox(job_seconds=0, pixels=64, pictures="stamped") as sandbox:
        busy = run(sandbox, prompts(3), tmp_path)
        idle = [run(sandbox, prompts(3), tmp_path) for _ in range(3)]
        assert plans(tmp_path) == {busy.plan_id, idle[-1].plan_id}
        again = run(sandbox, prompts(3), tmp_path, parameters=ImageParameters(quality="low"))
        assert plans(tmp_path) == {busy.plan_id, again.plan_id}
