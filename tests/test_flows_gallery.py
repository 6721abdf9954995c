"""A dataset on the page of its run, and as a page of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestra import artifacts, credentials_of, latest_flow_run
from prefect_trinetra.blocks import DatasetStorage
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.flows import amake_gallery, generate_dataset, make_gallery
from prefect_trinetra.sandbox.process import SandboxHandle
from runs import prompts

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


def test_a_run_shows_some_of_its_pictures_and_where_the_gallery_is(shop: SandboxHandle, tmp_path: Path) -> None:
    """Sixteen at most, spread over the dataset, small enough for Prefect's list of artifacts."""
    dataset = str(tmp_path / "kite-sheet")
    for count in (20, 21):
        generate_dataset(prompts(count), dataset, credentials_of(shop), row_tasks=0)
        shown = artifacts(latest_flow_run("generate kite-sheet").id)["kite-sheet-summary"]
        assert shown.count('<img src="data:image/jpeg;base64,') == 16
        assert len(shown) < 16 * 10_000
        assert ("/gallery/index.html" in shown) == (count == 21)
        report = make_gallery("kite-sheet", DatasetStorage(root=str(tmp_path)))
        assert (report.images, report.is_final) == (count, True)
        assert f"{count} images" in artifacts(latest_flow_run("gallery of kite-sheet").id)["kite-sheet-gallery"]


async def test_a_missing_dataset_fails_the_flow(tmp_path: Path) -> None:
    """With the sentence that says what is missing."""
    with pytest.raises(DatasetError, match="is no dataset"):
        await amake_gallery(str(tmp_path))
