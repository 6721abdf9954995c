"""What several tests ask of Prefect's server, and how they pay."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import Artifact, FlowRun, TaskRun
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter
from prefect.events.schemas.events import Event
from pydantic import SecretStr

from command import wait_until
from prefect_trinetra.blocks import TrinetraCredentials
from prefect_trinetra.sandbox.process import SandboxHandle


def credentials_of(sandbox: SandboxHandle) -> TrinetraCredentials:
    return TrinetraCredentials(api_key=SecretStr(sandbox.api_key), base_url=sandbox.url)


def latest_flow_run(name: str) -> FlowRun:
    """The flow run of that name that was made last."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs()
    return max((run for run in runs if run.name == name), key=lambda run: str(run.created))


def task_runs(flow_run_id: UUID) -> list[TaskRun]:
    with get_client(sync_client=True) as client:
        return client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])), limit=200)


def artifacts(flow_run_id: UUID) -> dict[str, Any]:
    """What the artifacts of a flow run hold, by key."""
    with get_client(sync_client=True) as client:
        found: list[Artifact] = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
        )
    return {artifact.key or "": artifact.data for artifact in found}


def events(name: str, resource: str) -> list[Event]:
    """The events of that name about a resource, once there is one: Prefect's own process sends them on by and by."""
    wanted = EventFilter(
        event=EventNameFilter(name=[name]), resource=EventResourceFilter(id=[resource]), occurred=EventOccurredFilter()
    )
    found: list[Event] = []

    def came() -> bool:
        nonlocal found
        with get_client(sync_client=True) as client:
            answer = client._client.post("/events/filter", json={"filter": wanted.model_dump(mode="json")})
        answer.raise_for_status()
        found = [Event.model_validate(each) for each in answer.json()["events"]]
        return bool(found)

    wait_until(came, f"{name} came")
    return found
