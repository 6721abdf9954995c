"""A dataset as an asset: its key, and what one event tells of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.assets import Asset

from orchestra import credentials_of, events
from prefect_trinetra.blocks import DatasetStorage
from prefect_trinetra.flows import generate_dataset
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.tasks import dataset_asset
from prefect_trinetra.tasks.assets import asset_key
from runs import prompts


@given(path=st.text())
def test_every_dataset_has_a_key_that_prefect_takes(path: str) -> None:
    """Whatever its address: Prefect checks the key when the asset is made."""
    assert Asset(key=asset_key(f"/{path}")).key.startswith("file:///")
    assert Asset(key=asset_key(f"s3://bucket/{path}")).key.startswith("s3://bucket/")


def test_the_key_is_the_address() -> None:
    """So two flows that name one dataset mean one asset; where characters had to go, a digest tells them apart."""
    storage = DatasetStorage(root="s3://bucket/sets")
    assert dataset_asset("cats", storage).key == dataset_asset("s3://bucket/sets/cats").key == "s3://bucket/sets/cats"
    assert asset_key("/data/small cats") != asset_key("/data/small-cats")


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_server")
def test_a_run_is_one_event_of_its_dataset(shop: SandboxHandle, tmp_path: Path) -> None:
    """With rows, images and credits, for automations and downstream flows; a plan is none."""
    dataset = str(tmp_path / "cats")
    generate_dataset(prompts(3), dataset, credentials_of(shop), dry_run=True)
    report = generate_dataset(prompts(3), dataset, credentials_of(shop), row_tasks=0, max_credits=14)
    (event,) = events("prefect.asset.materialization.succeeded", dataset_asset(dataset).key)
    told = event.payload
    assert (told["rows"], told["images"], told["credits_charged"]) == (3, 2, 14)
    assert (told["is_complete"], told["outcomes"]) == (False, {"succeeded": 2, "over_budget": 1})
    assert told["run_id"] == report.run_id
