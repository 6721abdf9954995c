"""When a flow run was to start, and the names that hold that day."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from prefect_trinetra.blocks.storage import StorageBlock, resolve
from prefect_trinetra.dated_names import dated
from prefect_trinetra.errors import ConfigurationError

__all__ = ["dataset_label", "located", "scheduled", "scheduled_start"]


def scheduled_start() -> datetime:
    """When the flow run was to start, or the outermost one around it: late or tried again, it stays the same."""
    root = flow_run.get_root_flow_run_id()
    if root == flow_run.get_id():
        return flow_run.get_scheduled_start_time()
    with get_client(sync_client=True) as client:
        outermost = client.read_flow_run(UUID(root))
    moment = outermost.expected_start_time or outermost.created
    return moment if moment is not None else flow_run.get_scheduled_start_time()


def scheduled(name: str) -> str:
    """`name` with the day of the flow run where it asks for it. Raises ConfigurationError."""
    return dated(name, scheduled_start)


def located(storage: StorageBlock | None, name: str) -> tuple[str, dict[str, Any]]:
    """Where a name, with the day of the flow run, lies, and what opens it. Raises ConfigurationError."""
    return resolve(storage, scheduled(name))


def dataset_label() -> str:
    """The last part of the dataset's name, for the name of the flow run."""
    name = str(flow_run.get_parameters().get("dataset"))
    with suppress(ConfigurationError):  # the run itself says it
        name = scheduled(name)
    return name.rstrip("/").rpartition("/")[2]
