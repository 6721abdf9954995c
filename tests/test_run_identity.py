"""A dataset belongs to one origin, and what was paid for is never mistaken for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_trinetra.errors import DatasetError, StorageError
from prefect_trinetra.preparation import plan_only
from prefect_trinetra.run import generate
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.spec import RunSpec
from runs import QUICK_SETTINGS, account_of, outcomes, prompts, run
from troubled_store import TroubledStore, troubled_url


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0, pixels=32, pictures="stamped") as handle:
        yield handle


@pytest.fixture
def sandbox(shared_sandbox: SandboxHandle) -> SandboxHandle:
    shared_sandbox.reset()
    return shared_sandbox


def test_a_dataset_of_another_origin_is_refused_and_nothing_is_spent(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: sandbox pictures never pass for bought ones, nor one provider's for another's."""
    run(sandbox, prompts(1), tmp_path)
    spec = RunSpec(prompts(2), str(tmp_path))
    with running_sandbox(job_seconds=0) as other:
        with pytest.raises(DatasetError, match="another dataset folder"):
            generate(spec, account_of(other), QUICK_SETTINGS)
        with pytest.raises(DatasetError, match="another dataset folder"):
            plan_only(spec, account_of(other), QUICK_SETTINGS)
        assert other.bill()["submits"] == 0


def test_paid_work_without_its_identity_is_not_started_over(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: a lost dataset.json is restored by its owner; a new one would change every idempotency key."""
    run(sandbox, prompts(1), tmp_path)
    (tmp_path / "dataset.json").unlink()
    with pytest.raises(DatasetError, match=r"dataset\.json"):
        generate(RunSpec(prompts(1), str(tmp_path)), account_of(sandbox), QUICK_SETTINGS)
    assert sandbox.bill()["submits"] == 1


def test_a_folder_with_files_of_others_becomes_a_dataset(sandbox: SandboxHandle, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("my pictures")
    assert outcomes(run(sandbox, prompts(1), tmp_path)) == {"succeeded": 1}
    assert (tmp_path / "README.md").read_text() == "my pictures"


def test_a_storage_that_takes_no_files_ends_the_run_before_it_spends(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: one clear error, and no request was sent."""
    url = troubled_url(tmp_path / "dataset")
    TroubledStore.trouble.fails = lambda _: True
    with pytest.raises(StorageError, match=r"trying out troubled://.*dataset failed"):
        generate(RunSpec(prompts(3), url, lease=False), account_of(sandbox), QUICK_SETTINGS)
    assert sandbox.bill()["submits"] == 0
