"""One shard of a dataset as a task run: the unit that Prefect sees of a large run."""

from __future__ import annotations

import time
from typing import Any, Final, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger

from prefect_trinetra.blocks.credentials import TrinetraCredentials, account_of
from prefect_trinetra.blocks.references import BlockReference, loaded
from prefect_trinetra.blocks.storage import StorageBlock, resolve
from prefect_trinetra.engine import ShardReport
from prefect_trinetra.errors import ConfigurationError, DatasetError
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.progress import Progress
from prefect_trinetra.settings import Account, load_settings
from prefect_trinetra.steps import ProviderSteps
from prefect_trinetra.storage import Storage
from prefect_trinetra.tasks.global_rate import GlobalRate
from prefect_trinetra.tasks.open_shards import work_openly
from prefect_trinetra.tasks.rows import RowTasks, with_one_client
from prefect_trinetra.webhooks.subscription import hear_webhooks
from prefect_trinetra.window import ShardOrder, StepsFactory, work_on_shard

__all__ = ["generate_shard", "work_here"]

SHARD_RETRIES: Final = 2
# A store that restarts takes about so long; a dead worker's lease is waited for anyway.
RETRY_DELAY_SECONDS: Final = 10


def _may_go_better(_task: object, _run: object, state: State[Any]) -> bool:
    """What is wrong with the settings or the dataset stays wrong; all else (a store, a machine) may pass."""
    return not isinstance(state.data, ConfigurationError | DatasetError)


# Neither cached nor persisted: a flow run that is tried again would take the old report and try no row again. A retry
# goes on where the try before ended, on whatever machine: it waits for the shard's lease and reads its journals.
@task(
    name="generate_shard",
    task_run_name="{order.words}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=SHARD_RETRIES,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=_may_go_better,
)
def generate_shard(
    order: ShardOrder,
    credentials: TrinetraCredentials | BlockReference | None = None,
    storage: StorageBlock | BlockReference | None = None,
    *,
    row_tasks: bool = False,
) -> ShardReport:
    """Works on a shard's rows until each has an outcome. Without credentials the environment's account pays.

    To another machine blocks come by reference. With `row_tasks` each step of each row is a task run of its own. One
    line of the log says what became of the rows.
    """
    place = cast("StorageBlock | None", loaded(storage))
    return work_here(order, loaded(credentials), place, row_tasks=row_tasks)


def work_here(
    order: ShardOrder, credentials: TrinetraCredentials | None, storage: StorageBlock | None, *, row_tasks: bool
) -> ShardReport:
    """The shard's work in this process, inside a task run or a flow run."""
    started = time.monotonic()
    folder = Storage.open(*resolve(storage, order.dataset_url))
    progress = Progress()
    work = _work(order, folder, account_of(credentials), progress, RowTasks if row_tasks else ProviderSteps)
    report = io_loop().run(work_openly(order, progress, with_one_client(work) if row_tasks else work))
    get_run_logger().info(told(order, report, time.monotonic() - started))
    return report


async def _work(
    order: ShardOrder, folder: Storage, account: Account, progress: Progress, steps: StepsFactory
) -> ShardReport:
    await hear_webhooks(account)
    rate = None if order.rate_limit is None else GlobalRate(order.rate_limit)
    return await work_on_shard(
        order, folder, account, load_settings(), progress=progress, make_steps=steps, shared_rate=rate
    )


def told(order: ShardOrder, report: ShardReport, seconds: float) -> str:
    """What became of a shard, in one line."""
    outcomes = ", ".join(f"{report.outcomes[each]:,} {each}" for each in Outcome if report.outcomes.get(each))
    pace = f"{report.images / seconds:.1f} images/s" if seconds > 0 else "at once"
    line = f"{order.words}: {report.rows:,} rows ({outcomes}), {report.charged:,g} credits, {seconds:,.1f} s, {pace}"
    return line if report.stopped is None else f"{line}; stopped: {report.stopped}"
