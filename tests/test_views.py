"""The tables a dataset is read by: one row an image, one row a manifest row, and sums that are the bill."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders import attempt
from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import Attempt, AttemptState, merge_attempts
from prefect_trinetra.manifest import Manifest
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import PlanTerms
from prefect_trinetra.planner import make_plan
from prefect_trinetra.request import ImageParameters, ImageRequest
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.views import METADATA_FILE, LeftOver, write_views
from runs import outcomes, prompts, run, view

PROMISED = [
    *("file_name", "key", "sample", "index", "prompt", "aspect_ratio", "quality", "n", "background", "output_format"),
    *("output_compression", "moderation", "image_url", "job_id", "width", "height", "format", "bytes", "sha256"),
    *("credits_charged", "submitted_at", "finished_at"),
]


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0, pixels=32, pictures="stamped") as handle:
        yield handle


@pytest.fixture
def sandbox(shared_sandbox: SandboxHandle) -> SandboxHandle:
    shared_sandbox.reset()
    return shared_sandbox


def test_metadata_has_the_promised_columns_and_then_the_manifests_own(sandbox: SandboxHandle, tmp_path: Path) -> None:
    run(sandbox, [{"prompt": "a kite", "label": "0001", "split": "train"}], tmp_path)
    names = pq.read_schema(tmp_path / METADATA_FILE).names
    assert set(PROMISED) <= set(names)
    assert [name for name in names if name in PROMISED][:5] == PROMISED[:5]
    assert names[-2:] == ["label", "split"]
    (image,) = view(tmp_path, "metadata")
    assert (image["label"], image["width"], image["format"], image["index"]) == ("0001", 32, "png", 0)
    assert image["submitted_at"] <= image["finished_at"]


def test_a_folder_of_images_with_one_metadata_file(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: what `imagefolder` loaders ask for: one metadata.* at the root, and file_name relative to it."""
    run(sandbox, prompts(4), tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("metadata.*")] == [METADATA_FILE]
    names = {image["file_name"] for image in view(tmp_path, "metadata")}
    assert names == {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "images").rglob("*.*")}
    assert len(names) == 4


def test_the_charges_of_all_images_are_the_bill(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: each image bears its share of what its job cost, so that sums over any part of the dataset make sense."""
    rows = [
        {"prompt": "one", "n": 3, "quality": "high"},
        {"prompt": "two", "n": 2},
        {"prompt": "three", "quality": "low"},
    ]
    report = run(sandbox, [*rows, rows[1]], tmp_path)
    images = view(tmp_path, "metadata")
    assert sum(image["credits_charged"] for image in images) == sandbox.bill()["credits"] == report.credits_charged
    assert [(image["prompt"], image["index"]) for image in images if image["prompt"] == "one"] == [
        ("one", 0),
        ("one", 1),
        ("one", 2),
    ]


def test_a_job_that_brought_fewer_images_than_asked_says_so(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: the row succeeded, the missing output is counted, and the charge is borne by the image that came."""
    sandbox.set_faults(fewer_outputs=1.0)
    report = run(sandbox, prompts(1), tmp_path, parameters=ImageParameters(n=2))
    (row,) = view(tmp_path)
    assert (row["outcome"], row["outputs_missing"], len(row["files"])) == ("succeeded", 1, 1)
    assert row["reason"]
    assert (report.outputs_missing, report.images) == (1, 1)
    (image,) = view(tmp_path, "metadata")
    assert image["credits_charged"] == sandbox.bill()["credits"]


def test_a_duplicate_is_a_row_with_the_same_files_and_no_second_image(sandbox: SandboxHandle, tmp_path: Path) -> None:
    rows = [{"prompt": "a kite", "label": "0001"}, {"prompt": "a kite", "label": "0002"}]
    report = run(sandbox, rows, tmp_path)
    first, second = view(tmp_path)
    assert first["files"] == second["files"]
    assert (second["duplicate_of"], second["label"], first["duplicate_of"]) == (1, "0002", None)
    assert [image["label"] for image in view(tmp_path, "metadata")] == ["0001"]
    assert (report.images, outcomes(report)) == (1, {"succeeded": 2})


def test_a_corrected_label_shows_and_costs_nothing(sandbox: SandboxHandle, tmp_path: Path) -> None:
    run(sandbox, [row | {"label": "wrong"} for row in prompts(2)], tmp_path)
    run(sandbox, [row | {"label": "right"} for row in prompts(2)][::-1], tmp_path)
    assert [image["label"] for image in view(tmp_path, "metadata")] == ["right", "right"]
    assert [row["prompt"] for row in view(tmp_path)] == ["a kite, number 1", "a kite, number 0"]
    assert sandbox.bill()["submits"] == 2


def test_own_columns_keep_their_types(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: Parquet in, Parquet out: times stay times, lists lists, and 0001 stays text."""
    taken = dt.datetime(2024, 2, 29, 12, 0, 0, 123456, tzinfo=dt.UTC)
    own = {
        "taken": pa.array([taken], pa.timestamp("us", tz="UTC")),
        "tags": pa.array([["a", "b"]], pa.list_(pa.string())),
        "score": pa.array([0.25], pa.float32()),
        "code": pa.array(["0001"]),
    }
    pq.write_table(pa.table({"prompt": ["a kite"], **own}), tmp_path / "rows.parquet")
    run(sandbox, str(tmp_path / "rows.parquet"), tmp_path / "dataset")
    for name in ("metadata", "rows"):
        table = pq.read_table(tmp_path / "dataset" / f"{name}.parquet", columns=list(own))
        assert table.to_pylist() == [{"taken": taken, "tags": ["a", "b"], "score": 0.25, "code": "0001"}]
        assert [field.type for field in table.schema] == [array.type for array in own.values()]


def test_own_columns_that_are_called_like_ours_get_a_name_of_their_own(sandbox: SandboxHandle, tmp_path: Path) -> None:
    run(sandbox, [{"prompt": "a kite", "key": "mine", "width": "wide", "manifest_key": "too"}], tmp_path)
    (image,) = view(tmp_path, "metadata")
    assert len(image["key"]) == 64
    assert image["width"] == 32
    assert sorted(value for value in image.values() if value in ("mine", "wide", "too")) == ["mine", "too", "wide"]


def test_the_signature_of_an_input_is_not_published(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: the query of an input URL may be a secret."""
    source = f"{sandbox.url}/cdn/none.png?X-Amz-Signature=topsecret"
    run(sandbox, [{"prompt": "the same with snow", "image_url": source}], tmp_path)
    for folder in ("metadata.parquet", "rows.parquet", "failures.jsonl", "attempts", "records", "runs"):
        for path in [tmp_path / folder] if "." in folder else (tmp_path / folder).iterdir():
            assert b"topsecret" not in path.read_bytes()
            text = str(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else path.read_text()
            assert "topsecret" not in text


KITE = ImageRequest("a kite").key()


def judged(attempts: list[Attempt], left_over: LeftOver, folder: Path) -> list[tuple[str, str]]:
    """Outcome and reason of two equal rows to which this has happened since they were planned."""
    manifest: Any = [{"prompt": "a kite"}, {"prompt": "a kite"}]
    make_plan(Manifest.open(manifest), KnownState(), PlanTerms(), folder / "plan.parquet")
    known = KnownState(merge_attempts(attempts))
    write_views(folder / "plan.parquet", known, left_over, folder)
    return [(row["outcome"], row["reason"]) for row in view(folder)]


OVER_BUDGET = LeftOver(Outcome.OVER_BUDGET, "too dear", plan_id="this-plan")


def test_a_row_that_was_not_let_in_says_why_and_so_does_its_duplicate(tmp_path: Path) -> None:
    assert judged([], OVER_BUDGET, tmp_path) == [("over_budget", "too dear")] * 2


def test_a_row_that_the_provider_never_took_is_pending_and_not_over_budget(tmp_path: Path) -> None:
    """Rule: the reason is the one that held it up in this run, not one that it might have met."""
    busy = attempt(AttemptState.VOID, key=KITE, plan_id="this-plan", reason="the provider is busy")
    told = judged([busy], OVER_BUDGET, tmp_path)
    assert [outcome for outcome, _ in told] == ["pending", "pending"]
    assert all("the provider is busy" in reason for _, reason in told)


def test_what_held_it_up_in_an_earlier_run_is_no_reason_now(tmp_path: Path) -> None:
    busy = attempt(AttemptState.VOID, key=KITE, plan_id="an-earlier-plan", reason="the provider is busy")
    assert judged([busy], OVER_BUDGET, tmp_path) == [("over_budget", "too dear")] * 2
