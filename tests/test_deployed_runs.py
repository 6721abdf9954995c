"""Deployments on a real server, with a worker that starts each run in a process of its own; the bill is what counts."""

from __future__ import annotations

import csv
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.states import Cancelling

from command import wait_until
from deployed import Orchestra
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from receiver import TOKEN, answers
from runs import bought_twice, prompts
from server_process import ServerProcess, free_ports, running
from tree import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "deployments").is_dir(), reason="deployments/ is not here"),
]


@pytest.fixture
def store(orchestra: Orchestra) -> SandboxHandle:
    return orchestra.sandbox


@pytest.fixture
def data(orchestra: Orchestra) -> Path:
    return orchestra.data


def write_manifest(path: Path, rows: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["prompt"], extrasaction="ignore")
        table.writeheader()
        table.writerows(prompts(rows))


def test_a_schedule_makes_the_dataset_of_its_day(orchestra: Orchestra, store: SandboxHandle, data: Path) -> None:
    """The names come from the scheduled start, blocks from their references, nothing from this process."""
    store.reset()
    now = datetime.now(UTC)
    for day in (now, now + timedelta(days=1)):
        write_manifest(data / "prompts" / f"{day:%Y-%m-%d}.csv", 2)
    with orchestra.client() as client:
        nightly = client.read_deployment_by_name("generate-dataset/nightly")
        hourly = IntervalSchedule(interval=timedelta(hours=1), anchor_date=now + timedelta(seconds=5))
        client.create_deployment_schedules(nightly.id, [DeploymentScheduleCreate(schedule=hourly, active=True)])
        mine = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[nightly.id]))

        def scheduled() -> list[UUID]:
            runs = client.read_flow_runs(flow_run_filter=mine)
            due = [
                run for run in runs if run.expected_start_time and run.expected_start_time < now + timedelta(hours=1)
            ]
            return [run.id for run in due if run.auto_scheduled]

        wait_until(lambda: bool(scheduled()), "the schedule made a run", pause_seconds=0.5)
        (flow_run_id,) = scheduled()
    run = orchestra.wait_for(flow_run_id, "Completed")
    assert run.expected_start_time is not None
    assert (data / "nightly" / f"{run.expected_start_time:%Y-%m-%d}" / "metadata.parquet").is_file()
    assert store.bill()["submits"] == 2


def form_of(orchestra: Orchestra, flow_run_id: UUID) -> dict[str, Any]:
    """What a suspended run asks a person."""
    inputs = {"prefix": "suspended", "limit": 10, "exclude_keys": []}
    form = orchestra.post(f"flow_runs/{flow_run_id}/input/filter", inputs)
    return {each["key"].rpartition("-")[2]: json.loads(each["value"]) for each in form}


def test_a_person_approves_the_cost(orchestra: Orchestra, store: SandboxHandle, data: Path) -> None:
    """Above the threshold the run gives its process back, a person is told, and what they allow is the cap."""
    store.reset()
    write_manifest(data / "wishes.csv", 3)
    assert "approval" in orchestra.command("deployments/alerts.py", "custom-webhook/team")
    asked = {"manifest": "wishes.csv", "dataset": "wishes", "approve_above": 5}
    flow_run_id = orchestra.start("generate-dataset/collection", **asked)
    orchestra.wait_for(flow_run_id, "Suspended")
    wait_until(lambda: any("generate wishes is Suspended" in text for text in orchestra.messages), "a person was told")
    assert store.bill()["submits"] == 0
    # Prefect says that a run is suspended before it stores its form.
    wait_until(lambda: form_of(orchestra, flow_run_id).keys() >= {"description", "schema"}, "its form is there")
    shown = form_of(orchestra, flow_run_id)
    assert "up to **21 credits**" in shown["description"]
    field = shown["schema"]["properties"]["max_credits"]
    assert (field["title"], field["default"]) == ("Spend at most (credits)", 21)
    orchestra.post(f"flow_runs/{flow_run_id}/resume", {"run_input": {"max_credits": 14}})
    orchestra.wait_for(flow_run_id, "LeftOver: 1 over_budget")
    assert store.bill()["credits"] == 14


def test_a_cancelled_run_is_gone_on_with(orchestra: Orchestra, store: SandboxHandle, data: Path) -> None:
    """Cancelled from the UI in mid-run; the same deployment again collects what was ordered."""
    store.reset()
    write_manifest(data / "broken off.csv", 6)
    asked = {"manifest": "broken off.csv", "dataset": "broken off", "approve_above": None}
    flow_run_id = orchestra.start("generate-dataset/collection", **asked)
    wait_until(lambda: store.bill()["jobs_accepted"] >= 4, "four rows were ordered")
    with orchestra.client() as client:
        client.set_flow_run_state(flow_run_id, Cancelling())
    orchestra.wait_for(flow_run_id, "Cancelled", "Crashed")
    orchestra.wait_for(orchestra.start("generate-dataset/collection", **asked), "Completed")
    assert not bought_twice(store.bill())
    assert store.bill()["images"] == 6


def test_a_server_takes_the_template_for_kubernetes(orchestra: Orchestra) -> None:
    """Every placeholder of the job has its variable, and the work pool shows them."""
    template = "deployments/kubernetes-job-template.json"
    orchestra.command(
        "-m", "prefect", "work-pool", "create", "--type", "kubernetes", "--base-job-template", template, "cluster"
    )
    with orchestra.client() as client:
        pool = client.read_work_pool("cluster")
    shown = pool.base_job_template["variables"]["properties"]
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(pool.base_job_template["job_configuration"])))
    assert used == set(shown)
    assert all(variable["title"] and variable["description"] for variable in shown.values())


@pytest.mark.skipif(not (ROOT / "examples").is_dir(), reason="examples/ is not here")
def test_a_webhook_resumes_the_run_that_waits(orchestra: Orchestra, tmp_path: Path) -> None:
    """examples/picture_later.py: one order, one picture; in between no process waits."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    environment = orchestra.environment | {"TRINETRA_WEBHOOK_TOKEN": TOKEN, "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    receive = [sys.executable, "-m", "prefect_trinetra", "webhooks", "serve", "--port", str(port)]
    receiver = ServerProcess(receive, lambda: answers(f"{url}/health"), tmp_path / "receiver.log", environment)
    options = {"job_seconds": 6, "job_sigma": 0, "pixels": 32, "webhook_url": f"{url}/webhooks/{TOKEN}"}
    with running(receiver), running_sandbox(**options) as shop, orchestra.client() as client:
        environment |= {"TRINETRA_API_KEY": shop.api_key, "TRINETRA_BASE_URL": shop.url}
        serve = [sys.executable, str(ROOT / "examples" / "picture_later.py"), str(tmp_path / "pictures")]

        def is_deployed() -> bool:
            return bool(client.read_automations_by_name("prefect-trinetra webhook"))

        with running(ServerProcess(serve, is_deployed, tmp_path / "example.log", environment)):
            flow_run_id = orchestra.start("picture-later/webhooks")
            waiting = orchestra.wait_for(flow_run_id, "Suspended")
            assert "waits-for-webhook" in waiting.tags
            orchestra.wait_for(flow_run_id, "Completed")
        assert (shop.bill()["submits"], shop.bill()["downloads"]) == (1, 1)
    assert len([*(tmp_path / "pictures").rglob("*.png")]) == 1
