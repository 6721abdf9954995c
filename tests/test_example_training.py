"""examples/nightly_training.py: generate, export, train, on Prefect's temporary server against the sandbox."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestra import credentials_of, events
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.tasks import dataset_asset
from tree import ROOT

EXAMPLE = ROOT / "examples" / "nightly_training.py"

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.slow,
    pytest.mark.skipif(not EXAMPLE.is_file(), reason="examples/ is not here"),
    pytest.mark.usefixtures("prefect_server"),
]


@pytest.fixture
def painter() -> Iterator[SandboxHandle]:
    """Its pictures differ: there is something to learn."""
    with running_sandbox(job_seconds=0.05, pixels=64) as sandbox:
        yield sandbox


def test_a_dataset_trains_a_model(painter: SandboxHandle, tmp_path: Path) -> None:
    """Each step takes up what the one before left; Prefect learns what the model comes from; again it buys nothing."""
    pytest.importorskip("datasets")
    manifest = tmp_path / "prompts.csv"
    manifest.write_text("prompt,category\n" + "".join(f"a kite number {row},kite {row % 3}\n" for row in range(9)))
    flow: Any = runpy.run_path(str(EXAMPLE))["nightly_training"]
    told_right = flow(str(manifest), str(tmp_path), credentials=credentials_of(painter))
    assert told_right > 1 / 3
    with np.load(tmp_path / "model.npz") as model:
        assert model["weights"].shape == (16 * 16 * 3, 3)
    (event,) = events("prefect.asset.materialization.succeeded", f"file://{tmp_path}/model.npz")
    assert [each.id for each in event.related if each.role == "asset"] == [dataset_asset(str(tmp_path / "dataset")).key]
    assert flow(str(manifest), str(tmp_path), credentials=credentials_of(painter)) == told_right
    assert painter.bill()["submits"] == 9
