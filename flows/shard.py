"""One shard of a dataset as a flow run of its own, which any worker of a work pool may carry out."""

# Without `from __future__ import annotations`: Prefect validates the parameters by these annotations.

from typing import Final, cast

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from prefect_trinetra.blocks.credentials import TrinetraCredentials
from prefect_trinetra.blocks.storage import StorageBlock, resolve
from prefect_trinetra.engine import ShardReport
from prefect_trinetra.flows.forms import titled
from prefect_trinetra.loop import io_loop
from prefect_trinetra.plan import PlanFiles
from prefect_trinetra.shard_reports import report_bytes
from prefect_trinetra.storage import Storage
from prefect_trinetra.tasks.shard import work_here
from prefect_trinetra.window import ShardOrder

__all__ = ["generate_shard"]

FLOW_NAME: Final = "generate-shard"


@flow(name=FLOW_NAME, flow_run_name="{order.words}", persist_result=False)
@titled
def generate_shard(
    order: ShardOrder,
    credentials: TrinetraCredentials | None = None,
    storage: StorageBlock | None = None,
    row_tasks: bool = False,  # noqa: FBT001, FBT002  # a flow's parameters are named
) -> ShardReport:
    """
    Works on one shard of a dataset. Only generate_dataset starts it, where shard_deployment names a deployment of it.

    Args:
        order: Which shard of which plan, as generate_dataset writes it.
        credentials: Account that pays; else TRINETRA_API_KEY and TRINETRA_BASE_URL of the worker's environment count.
        storage: Block that holds the dataset, and the keys to open it.
        row_tasks: Each step of each row is a task run of its own.

    Returns:
        What became of the shard, also stored in the dataset for the run that ordered it.

    Raises:
        ConfigurationError: A block or setting of the worker is wrong; nothing was sent.
        DatasetError: The worker's account belongs to another API than the dataset.
        StorageError: The dataset's storage can't be used.
    """
    report = work_here(order, credentials, storage, row_tasks=row_tasks)
    place = Storage.open(*resolve(storage, order.dataset_url))
    # A flow run's result stays on its machine; what is in the dataset, all machines see.
    io_loop().run(place.write(PlanFiles(order.plan_id).report(order.shard), report_bytes(report), durable=True))
    return cast("ShardReport", _ended(report))


def _ended(report: ShardReport) -> State[ShardReport]:
    told = ", ".join(f"{count:,} {outcome}" for outcome, count in report.outcomes.items() if count)
    return Completed(message=f"{report.rows:,} rows: {told}; {report.charged:g} credits", data=report)
