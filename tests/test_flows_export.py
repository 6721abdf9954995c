"""A dataset, then its export, in one flow of somebody's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect import flow

from exports import kites, metadata
from orchestra import artifacts, latest_flow_run, task_runs
from prefect_trinetra import DatasetStorage, ExportReport, ExportSpec, aexport_dataset, export_dataset
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.tasks import export_dataset as export_task

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture(scope="module")
def dataset(session_shop: SandboxHandle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kites(session_shop, tmp_path_factory.mktemp("dataset"))


def test_a_dataset_becomes_shards(dataset: Path, tmp_path: Path) -> None:
    """Names in storage blocks; one task run; the page shows what is in it."""
    report = export_dataset(
        "kites",
        "kites-wds",
        storage=DatasetStorage(root=str(dataset.parent)),
        to_storage=DatasetStorage(root=str(tmp_path)),
        splits={"train": 0.5, "test": 0.5},
    )
    assert isinstance(report, ExportReport)
    assert report.images == 18
    assert (tmp_path / "kites-wds" / "README.md").is_file()
    run = latest_flow_run("export kites as webdataset")
    assert [task.task_key.partition("-")[0] for task in task_runs(run.id)] == ["export_dataset"]
    assert "| train |" in artifacts(run.id)["kites-wds-export"]


async def test_the_twin_leaves_the_callers_loop_free(dataset: Path, tmp_path: Path) -> None:
    """And an image that is damaged names the state, without failing the run."""
    gone = min(metadata(dataset).values(), key=lambda row: row["file_name"])["file_name"]
    data = (dataset / gone).read_bytes()
    (dataset / gone).unlink()
    try:
        report = await aexport_dataset(str(dataset), str(tmp_path / "out"), format="imagefolder")
    finally:
        (dataset / gone).write_bytes(data)
    assert list(report.unreadable) == [gone]
    state = latest_flow_run("export kites as imagefolder").state
    assert state is not None
    assert state.is_completed()
    assert state.name == "LeftOut: 1 unreadable"


def test_the_task_alone_serves_flows_of_ones_own(dataset: Path, tmp_path: Path) -> None:
    """With a spec, as one task run among others."""

    @flow
    def shards() -> int:
        return export_task(ExportSpec(str(dataset), str(tmp_path / "out"))).images

    assert shards() == 18
