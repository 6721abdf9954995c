"""Jobs whose end a run did not see, and outputs that came in part: kept, collected later, never bought again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_trinetra.request import ImageParameters
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.spec import RunLimits
from runs import outcomes, prompts, run, view

ROWS = 4
SHORT = RunLimits(job_deadline_seconds=0.3)
PAIRS = ImageParameters(n=2)


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0, pixels=32, pictures="stamped") as handle:
        yield handle


@pytest.fixture
def sandbox(shared_sandbox: SandboxHandle) -> SandboxHandle:
    shared_sandbox.reset()
    return shared_sandbox


@pytest.fixture
def moved(sandbox: SandboxHandle, tmp_path: Path) -> Path:
    """A dataset whose jobs are all out, copied to another place and without its plans."""
    sandbox.set_faults(poll_missing=1.0)
    first = run(sandbox, prompts(ROWS), tmp_path / "first", limits=SHORT)
    assert outcomes(first) == {"pending": ROWS}
    sandbox.set_faults(poll_missing=0.0)
    shutil.copytree(tmp_path / "first", tmp_path / "moved")
    shutil.rmtree(tmp_path / "first")
    shutil.rmtree(tmp_path / "moved" / "plans")
    return tmp_path / "moved"


def test_a_copy_without_its_plans_collects_what_is_out(sandbox: SandboxHandle, moved: Path) -> None:
    """Rule: the ledger alone is enough, on any machine."""
    assert outcomes(run(sandbox, prompts(ROWS), moved)) == {"succeeded": ROWS}
    assert sandbox.bill()["submits"] == ROWS


def test_so_does_a_run_of_another_manifest(sandbox: SandboxHandle, moved: Path) -> None:
    """Rule: what was bought is fetched while it can be had, and is free once its rows are back."""
    other = run(sandbox, prompts(1, "a boat"), moved)
    assert outcomes(other) == {"succeeded": 1}
    assert len(list((moved / "images").rglob("*.png"))) == ROWS + 1
    sandbox.set_faults(gone=1.0)
    assert outcomes(run(sandbox, prompts(ROWS), moved)) == {"succeeded": ROWS}
    assert sandbox.bill()["submits"] == ROWS + 1


@pytest.mark.parametrize(
    ("fault", "images", "missing"),
    [("fewer_outputs", [0], 1), ("extra_outputs", [0, 1, 2], 0), ("non_image_output", [1], 1)],
)
def test_what_came_of_several_outputs_is_kept(
    fault: str, images: list[int], missing: int, sandbox: SandboxHandle, tmp_path: Path
) -> None:
    """Rule: the row has succeeded, says what is missing, and is free from then on, also with a word to retry."""
    sandbox.set_faults(**{fault: 1.0})
    report = run(sandbox, prompts(1), tmp_path, parameters=PAIRS)
    sandbox.set_faults(**{fault: 0.0})
    (row,) = view(tmp_path)
    assert (row["outcome"], row["reason_class"], row["outputs_missing"]) == ("succeeded", None, missing)
    assert bool(row["reason"]) == bool(missing)
    stored = view(tmp_path, "metadata")
    assert [image["index"] for image in stored] == images
    assert sum(image["credits_charged"] for image in stored) == report.credits_charged == sandbox.bill()["credits"]
    again = run(sandbox, prompts(1), tmp_path, parameters=PAIRS, retry=frozenset({"damaged", "failed", "unknown"}))
    assert outcomes(again) == {"succeeded": 1}
    assert view(tmp_path) == [row]
    assert sandbox.bill()["submits"] == 1
