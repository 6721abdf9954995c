"""The flow runs that a run starts for its shards, as Prefect's API knows them. For the I/O loop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.states import Cancelling, Crashed
from pydantic import TypeAdapter, ValidationError

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.window import ShardOrder

__all__ = ["ORDER", "bury", "cancel", "check_deployment", "order_of", "read_runs", "start", "still_open"]

# The parameter of the flow that holds the shard's order.
ORDER: Final = "order"
_orders: Final = TypeAdapter(ShardOrder)
# Prefect's servers give so many at once.
MOST_RUNS: Final = 200


async def check_deployment(name: str) -> None:
    """Raises ConfigurationError where there is no such deployment, or it is one of another flow."""
    async with get_client() as client:
        try:
            deployment = await client.read_deployment_by_name(name)
        except (ObjectNotFound, ValueError) as error:
            raise ConfigurationError(
                f"shard_deployment names {name}, which is not deployed: give FLOW/NAME, such as generate-shard/pool of "
                "deployments/prefect.yaml. Nothing was sent."
            ) from error
    if ORDER not in (deployment.parameter_openapi_schema or {}).get("properties", {}):
        raise ConfigurationError(
            f"shard_deployment names {name}, which is no deployment of generate-shard: give one whose entrypoint is "
            "prefect_trinetra.flows.shard.generate_shard. Nothing was sent."
        )


async def start(deployment: str, order: ShardOrder, tries: int, parameters: Mapping[str, Any]) -> UUID:
    """A run of the shard; asked for again, it is the same one."""
    async with get_client() as client:
        run = await arun_deployment(
            deployment,
            client=client,
            parameters={**parameters, ORDER: _orders.dump_python(order, mode="json")},
            idempotency_key=f"{order.plan_id}-{order.shard}-{tries}",
            timeout=0,
        )
    return run.id


async def read_runs(ids: Iterable[UUID]) -> dict[UUID, FlowRun]:
    """These runs as they are now; one that was deleted is missing."""
    return {run.id: run for run in await _filtered(FlowRunFilter(id=FlowRunFilterId(any_=list(ids))))}


async def still_open(parent: UUID) -> list[FlowRun]:
    """The runs of shards that a flow run started, in this try or an earlier one, and that have not ended."""
    not_ended = FlowRunFilterState(type=FlowRunFilterStateType(not_any_=list(TERMINAL_STATES)))
    of_parent = FlowRunFilterParentFlowRunId(any_=[parent])
    return [
        run
        for run in await _filtered(FlowRunFilter(parent_flow_run_id=of_parent, state=not_ended))
        if order_of(run) is not None
    ]


def order_of(run: FlowRun) -> ShardOrder | None:
    """The order that a run was started with; None where it is no run of a shard."""
    try:
        return _orders.validate_python(run.parameters.get(ORDER))
    except ValidationError:
        return None


async def bury(run_id: UUID, why: str) -> None:
    """Says of a run whose worker is gone that it has crashed, so that it holds no place in its pool."""
    async with get_client() as client:
        await client.set_flow_run_state(run_id, Crashed(message=why), force=True)


async def cancel(ids: Iterable[UUID]) -> None:
    """Has the workers end these runs."""
    async with get_client() as client:
        for run_id in ids:
            try:
                await client.set_flow_run_state(run_id, Cancelling())
            except Exception as error:  # noqa: BLE001  # the others are still to be cancelled
                get_run_logger().warning("flow run %s was not cancelled: %s", run_id, error)


async def _filtered(which: FlowRunFilter) -> list[FlowRun]:
    found: list[FlowRun] = []
    async with get_client() as client:
        while True:
            page = await client.read_flow_runs(flow_run_filter=which, limit=MOST_RUNS, offset=len(found))
            found += page
            if len(page) < MOST_RUNS:
                return found
