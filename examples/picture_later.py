"""A picture that no process waits for: its flow run suspends, and the webhook's event has it resumed.

    PREFECT_API_URL=http://127.0.0.1:4200/api TRINETRA_API_KEY=... python examples/picture_later.py ./pictures

serves two deployments and makes the automation between them: a `trinetra.job.finished` event starts
`resume-waiting/webhooks`, which resumes the flow run that is tagged with the job. Beside it
`prefect-trinetra webhooks serve` has to run; docs/webhooks.md says how. Stop it with Ctrl-C.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from prefect import Flow, flow, serve
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.flow_runs import resume_flow_run, suspend_flow_run
from prefect.runtime import flow_run
from prefect.schedules import Interval

from prefect_trinetra import download_images, poll_job, submit_job

WAITS = "waits-for-webhook"
# A webhook may be lost: once in so long all that wait are resumed, and look for themselves.
WITHOUT_WEBHOOK = timedelta(minutes=10)
# The event may be here before the flow run is suspended.
RETRIES, RETRY_SECONDS = 5, 5


@flow(name="picture-later", persist_result=True)
def picture_later(prompt: str, folder: str) -> list[str]:
    """Orders a picture, gives the process back, and stores it when the job has ended.

    A resumed run begins anew: the order is cached, with its result persisted, so it is the same job.
    """
    job = submit_job(prompt, quality="low")
    tag = f"trinetra.job.{job.id}"
    if tag not in flow_run.get_tags():
        with get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.get_id()), tags=[*flow_run.get_tags(), WAITS, tag])
        suspend_flow_run(timeout=86_400)  # what runs here ends with it
    ended = poll_job(job)
    return [image.path for image in download_images(ended, folder)]


@flow(name="resume-waiting", retries=RETRIES, retry_delay_seconds=RETRY_SECONDS)
def resume_waiting(job: str | None = None) -> None:
    """Resumes the flow run that waits for a job (trinetra.job.ID); without one all that wait."""
    found = FlowRunFilter.model_validate({"tags": {"all_": [job or WAITS]}, "state": {"type": {"any_": ["PAUSED"]}}})
    with get_client(sync_client=True) as client:
        waiting = client.read_flow_runs(flow_run_filter=found)
    for run in waiting:
        resume_flow_run(run.id)
    if job is not None and not waiting and _is_ours(job):
        raise RuntimeError(f"nobody waits for {job} yet")


def _is_ours(job: str) -> bool:
    """Whether a flow run ordered the job and has not ended."""
    states = {"not_any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}
    found = FlowRunFilter.model_validate({"tags": {"all_": [job]}, "state": {"type": states}})
    with get_client(sync_client=True) as client:
        return bool(client.read_flow_runs(flow_run_filter=found))


def deployment(of: Flow[..., Any], **details: Any) -> RunnerDeployment:
    """A deployment that this program serves."""
    # Outside of an event loop it is no coroutine, and Prefect's annotations can't say so.
    return cast("RunnerDeployment", of.to_deployment("webhooks", **details))


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004  # the folder
        sys.exit(__doc__)
    serve(
        deployment(picture_later, parameters={"prompt": "A lighthouse in the fog", "folder": sys.argv[1]}),
        deployment(
            resume_waiting,
            schedules=[Interval(WITHOUT_WEBHOOK)],
            triggers=[
                DeploymentEventTrigger(
                    name="prefect-trinetra webhook",
                    expect={"trinetra.job.finished"},
                    match={"prefect.resource.id": "trinetra.job.*"},
                    parameters={"job": {"__prefect_kind": "jinja", "template": "{{ event.resource.id }}"}},
                )
            ],
        ),
    )
