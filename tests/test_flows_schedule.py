"""Flow runs that are scheduled: names with days in them, fresh samples, a manifest that comes later."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from command import wait_until
from orchestra import credentials_of, latest_flow_run
from prefect_trinetra.errors import ConfigurationError, ManifestMissing, TooManyFailures
from prefect_trinetra.flows import agenerate_dataset, generate_dataset
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.spec import RunLimits
from runs import prompts

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]

# To the microsecond, so that two runs never share a name by chance.
DATED = "cats-{scheduled:%Y-%m-%dT%H%M%S.%f}"


def test_a_run_that_is_tried_again_hits_the_same_path(shop: SandboxHandle, tmp_path: Path) -> None:
    """The name comes from the scheduled start and never from now, also inside another flow and its retries."""
    shop.set_faults(failed_jobs=1)
    places: list[Path] = []

    @flow(retries=1)
    def nightly() -> None:
        try:
            generate_dataset(prompts(1), str(tmp_path / DATED), credentials_of(shop))
        finally:
            places.extend(path for path in tmp_path.iterdir() if path not in places)
            shop.set_faults(failed_jobs=0)

    nightly()
    (dataset,) = places
    start = latest_flow_run(f"generate {dataset.name}")
    assert start.state_name == "Completed"
    assert len(list(dataset.glob("runs/*.json"))) == 2
    assert shop.bill()["images"] == 1


def test_a_retry_of_the_flow_itself_hits_the_same_path(shop: SandboxHandle, tmp_path: Path) -> None:
    """Both tries are one dataset."""
    shop.set_faults(failed_jobs=1)
    with pytest.raises(TooManyFailures) as failed:
        generate_dataset.with_options(retries=1)(prompts(1), str(tmp_path / DATED), credentials_of(shop))
    (dataset,) = tmp_path.iterdir()
    start = latest_flow_run(f"generate {dataset.name}").expected_start_time
    assert start is not None
    assert dataset.name == f"cats-{start:%Y-%m-%dT%H%M%S.%f}"
    assert failed.value.report.dataset_url == str(dataset)
    assert shop.bill()["submits"] == 2


def test_another_base_makes_fresh_pictures(shop: SandboxHandle, tmp_path: Path) -> None:
    """Each base is paid once; run again with it, the pictures are there."""
    arguments: dict[str, Any] = {
        "manifest": prompts(2),
        "dataset": str(tmp_path / "cats"),
        "credentials": credentials_of(shop),
    }
    for base, submits in ((0, 2), (20261126, 4), ("{scheduled:%Y}00", 6), (20261126, 6)):
        assert generate_dataset(**arguments, sample_base=base).is_complete
        assert shop.bill()["submits"] == submits
    for wrong in ("tonight", -1, 2**31):
        with pytest.raises(ConfigurationError, match="sample_base"):
            generate_dataset(**arguments, sample_base=wrong)


def test_a_manifest_that_is_not_there(shop: SandboxHandle, tmp_path: Path) -> None:
    """Fails the run, skips it, or is waited for until the run's deadline."""
    manifest, dataset = tmp_path / "prompts.csv", tmp_path / "cats"
    arguments = (str(manifest), str(dataset), credentials_of(shop))
    with pytest.raises(ManifestMissing):
        generate_dataset(*arguments)
    report = generate_dataset(*arguments, missing_manifest="skip")
    assert (report.rows, report.is_complete) == (0, True)
    assert latest_flow_run("generate cats").state_name == "NoManifest"
    with pytest.raises(ManifestMissing, match=r"prompts\.csv does not exist"):
        generate_dataset(*arguments, missing_manifest="wait", limits=RunLimits(run_deadline_seconds=0.1))
    assert shop.bill()["submits"] == 0


async def test_a_manifest_that_comes_later_is_waited_for(shop: SandboxHandle, tmp_path: Path) -> None:
    """The run begins as soon as it is there."""
    manifest = tmp_path / "prompts.csv"
    arguments = (str(manifest), str(tmp_path / "late"), credentials_of(shop))
    waiting = asyncio.ensure_future(agenerate_dataset(*arguments, missing_manifest="wait"))
    await asyncio.to_thread(wait_until, has_begun, "the run has begun")
    manifest.write_text("prompt\na cat\n")
    assert (await waiting).is_complete
    assert shop.bill()["submits"] == 1


def has_begun() -> bool:
    with get_client(sync_client=True) as client:
        return any(run.name == "generate late" and run.state_name == "Running" for run in client.read_flow_runs())


def test_below_the_threshold_nobody_is_asked(shop: SandboxHandle, tmp_path: Path) -> None:
    """And without an answer the threshold holds, whatever the bill."""
    arguments = (prompts(2), str(tmp_path / "cats"), credentials_of(shop))
    report = generate_dataset(*arguments, approve_above=14)
    assert (report.is_complete, report.cap) == (True, 14)
    shop.reset()
    report = generate_dataset(*arguments, sample_base=1, max_credits=7, approve_above=10)
    assert (report.outcomes["over_budget"], report.cap, shop.bill()["credits"]) == (1, 7, 7)
