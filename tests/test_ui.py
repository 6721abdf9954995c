"""What a person sees in Prefect's pages, in a real Chromium; and what a run asks of the server behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import PrefectHTTPStatusError

from browser import running_chromium, window
from deployed import Server, deploy_all
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.spec import RunLimits
from toll import Toll, running_toll_gate
from tree import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "deployments").is_dir(), reason="deployments/ is not here"),
]

HOSTILE = "forbidden-by-moderation <img src=x onerror=alert(1)> [here](http://127.0.0.1:9) | `rm` **b**"
DEPLOYMENTS = [
    "generate-dataset/nightly",
    "generate-dataset/collection",
    "generate-image/on-demand",
    "make-gallery/gallery",
    "export-dataset/export",
]


class Stage(NamedTuple):
    """A server with deployments and two runs on it, of 5 and of 25 shards."""

    orchestra: Server
    few: Toll
    many: Toll

    @property
    def pages(self) -> str:
        return f"{self.orchestra.url.removesuffix('/api')}/v2"


@pytest.fixture(scope="module")
def store() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0.05, pixels=32) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, store: SandboxHandle) -> Iterator[Stage]:
    data = tmp_path_factory.mktemp("data")
    with running_toll_gate(tmp_path_factory.mktemp("home")) as gate:
        few, many = (
            gate.run(store, data / f"kites-{rows}", [*(f"kite {row} of {rows}" for row in range(1, rows)), HOSTILE], 4)
            for rows in (20, 100)
        )
        deploy_all(gate.orchestra, store, data, "http://127.0.0.1:9/")
        gate.orchestra.command("deployments/pickers.py")
        yield Stage(gate.orchestra, few, many)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with window(chromium) as opened:
        yield opened.page


def deployment(stage: Stage, name: str) -> DeploymentResponse:
    with stage.orchestra.client() as client:
        return client.read_deployment_by_name(name)


def address(stage: Stage, key: str) -> str:
    """Of the page of the latest artifact of that key."""
    with stage.orchestra.client() as client:
        (latest,) = client.read_latest_artifacts(
            artifact_filter=ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[key]))
        )
    return f"{stage.pages}/artifacts/artifact/{latest.latest_id}"


def fields(schema: dict[str, Any], parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The fields that a form shows: those of the flow, and those inside of what is no block and not empty."""
    for name, field in schema["properties"].items():
        yield field
        reference = field.get("$ref") or next((each["$ref"] for each in field.get("anyOf", ()) if "$ref" in each), "")
        model = schema.get("definitions", {}).get(reference.rpartition("/")[2])
        if model is None or "block_type_slug" in model or parameters.get(name, field.get("default")) is None:
            continue
        yield from model["properties"].values()


def test_a_shard_of_the_default_size_costs_a_hundredth_of_its_images(stage: Stage) -> None:
    """What twenty more shards cost, however many rows they have: 0.02 events and logs, 0.01 calls per image at most."""
    rows = RunLimits().shard_size
    assert (stage.many.events_and_logs - stage.few.events_and_logs) / 20 <= 0.02 * rows
    assert (stage.many.calls.total() - stage.few.calls.total()) / 20 <= 0.01 * rows
    assert stage.many.events["prefect.asset.materialization.succeeded"] == 1


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_form_explains_every_parameter(stage: Stage, page: Page, name: str) -> None:
    """Each has a title and a description; what is set shows, and a block is picked by its name."""
    found = deployment(stage, name)
    page.goto(f"{stage.pages}/deployments/deployment/{found.id}/run")
    body = page.locator("body")
    assert found.parameter_openapi_schema is not None
    for field in fields(found.parameter_openapi_schema, found.parameters):
        expect(body).to_contain_text(field["title"])
        expect(body).to_contain_text(field["description"])
    blocks = sum("$ref" in value for value in found.parameters.values() if isinstance(value, dict))
    expect(page.get_by_text("prod", exact=True)).to_have_count(blocks)


def test_a_bad_value_is_refused_with_a_sentence(stage: Stage) -> None:
    """Before there is a run."""
    wrongs: dict[str, dict[str, Any]] = {
        "'samples'. Failure reason: 0 is less than the minimum of 1": {"samples": 0},
        "'best' is not one of ['low', 'medium', 'high', 'auto']": {"parameters": {"quality": "best"}},
    }
    for sentence, wrong in wrongs.items():
        with pytest.raises(PrefectHTTPStatusError) as refused:
            stage.orchestra.start("generate-dataset/collection", **wrong)
        assert sentence in refused.value.response.json()["detail"]


def test_the_page_of_a_run_says_what_became_of_it(stage: Stage, page: Page) -> None:
    """A summary with pictures, and the row that failed, whose prompt does nothing."""
    dialogs: list[Dialog] = []

    def hear(dialog: Dialog) -> None:  # Playwright marks what it calls, and a built-in function can't be marked
        dialogs.append(dialog)

    page.on("dialog", hear)
    run_id = stage.many.report.run_id
    page.goto(f"{stage.pages}/runs/flow-run/{run_id}")
    page.get_by_text(re.compile(r"shard [0-9]+ of 25: 4 rows \(")).first.wait_for()
    page.goto(f"{stage.pages}/runs/flow-run/{run_id}?tab=Artifacts")
    page.get_by_text("kites-100-progress").wait_for()
    page.goto(address(stage, "kites-100-summary"))
    for said in ("693 credits", "images/s", "99 images", "metadata.parquet"):
        page.get_by_text(said).first.wait_for()
    expect(page.locator("img[src^='data:image/jpeg']")).to_have_count(16)
    page.goto(address(stage, "kites-100-failures"))
    page.get_by_text(HOSTILE).wait_for()
    assert page.locator("td img").count() == 0
    assert not dialogs
