"""Serves the flows on one machine, without a work pool: runs start in this program, on its schedule or from the UI.

    PREFECT_API_URL=http://127.0.0.1:4200/api python deployments/serve.py

Stop it with Ctrl-C. The blocks trinetra-credentials/prod and dataset-storage/prod are loaded when a run starts.
"""

from __future__ import annotations

from typing import Any, cast

from prefect import Flow, serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron

from prefect_trinetra import export_dataset, generate_dataset, generate_image, make_gallery

ACCOUNT = {"$ref": {"block_document_slug": "trinetra-credentials/prod"}}
STORAGE = {"$ref": {"block_document_slug": "dataset-storage/prod"}}


def deployment(flow: Flow[..., Any], name: str, **details: Any) -> RunnerDeployment:
    """A deployment that this program serves."""
    # Outside of an event loop it is no coroutine, and Prefect's annotations can't say so.
    return cast("RunnerDeployment", flow.to_deployment(name, tags=["prefect-trinetra"], **details))


if __name__ == "__main__":
    serve(
        deployment(
            generate_dataset,
            "nightly",
            schedules=[Cron("0 3 * * *", timezone="UTC")],
            concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
            parameters={
                "manifest": "prompts/{scheduled:%Y-%m-%d}.csv",
                "dataset": "nightly/{scheduled:%Y-%m-%d}",
                "missing_manifest": "skip",
                "credentials": ACCOUNT,
                "storage": STORAGE,
                "manifest_storage": STORAGE,
                "max_credits": 500,
            },
        ),
        deployment(
            generate_image,
            "on-demand",
            parameters={"dataset": "on-demand", "credentials": ACCOUNT, "storage": STORAGE, "max_credits": 50},
        ),
        deployment(make_gallery, "gallery", parameters={"storage": STORAGE}),
        deployment(export_dataset, "export", parameters={"storage": STORAGE}),
        limit=2,
    )
