"""The beginning and the end of a dataset's run, and the manifest that may come before it."""

from __future__ import annotations

from typing import Any, Final

from prefect import task
from prefect.assets import Asset
from prefect.cache_policies import NO_CACHE
from prefect.context import AssetContext
from prefect.logging import get_run_logger
from prefect.tasks import MaterializingTask

from prefect_trinetra.blocks.credentials import TrinetraCredentials, account_of
from prefect_trinetra.blocks.storage import StorageBlock, resolve
from prefect_trinetra.loop import io_loop
from prefect_trinetra.plan import Plan
from prefect_trinetra.preparation import prepare
from prefect_trinetra.publishing import publish
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.settings import load_settings
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage import Storage
from prefect_trinetra.table import write_table
from prefect_trinetra.tasks.assets import materialized
from prefect_trinetra.views import LeftOver
from prefect_trinetra.window import Prepared

__all__ = ["plan_dataset", "publish_dataset", "publishing", "write_manifest"]

PUBLISH: Final = "publish_dataset"


# These two are neither cached nor persisted: a flow run that is tried again has to plan and to publish again.
@task(name="plan_dataset", task_run_name="plan", cache_policy=NO_CACHE, persist_result=False, retries=0)
def plan_dataset(
    spec: RunSpec, run_id: str, credentials: TrinetraCredentials | None = None, *, generation: int | None = None
) -> Prepared:
    """Settles what earlier runs left open, and stores the plan of this one in the dataset. Spends nothing.

    `generation` is that of the dataset's lease, which the flow run holds.
    """
    prepared = prepare(spec, account_of(credentials), load_settings(), run_id, generation=generation)
    plan = prepared.plan
    words = "%s rows: %s to buy for at most %s credits, %s to collect"
    get_run_logger().info(words, f"{plan.rows:,}", f"{plan.to_buy:,}", f"{plan.bound:,g}", f"{plan.to_collect:,}")
    return prepared


@task(name=PUBLISH, task_run_name="publish", cache_policy=NO_CACHE, persist_result=False, retries=0)
def publish_dataset(
    spec: RunSpec,
    plan: Plan,
    left_over: LeftOver,
    *,
    stopped: str | None = None,
    images_made: int = 0,
    seconds: float = 0.0,
) -> DatasetReport:
    """Writes the dataset's tables and the run's report. `stopped` says why submitting ended early, if it did."""
    storage = Storage.open(spec.dataset, spec.storage_options)
    report = publish(spec, storage, plan, left_over, stopped=stopped, images_made=images_made, seconds=seconds)
    if (context := AssetContext.get()) is not None:
        for asset in context.downstream_assets:
            asset.add_metadata(materialized(report))
    get_run_logger().info("tables written: %s images, %s of them new", f"{report.images:,}", f"{report.images_made:,}")
    return report


def publishing(asset: Asset) -> MaterializingTask[..., DatasetReport]:
    """`publish_dataset`, whose end Prefect records as one event of the dataset's asset."""
    return MaterializingTask(
        publish_dataset.fn,
        assets=[asset],
        name=PUBLISH,
        task_run_name="publish",
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=0,
    )


@task(name="write_manifest", cache_policy=NO_CACHE)
def write_manifest(rows: Any, folder: str, storage: StorageBlock | None = None) -> str:
    """Stores rows as a Parquet manifest and returns its address, for `generate_dataset` (and its manifest_storage).

    `rows` are dictionaries, or any table with an Arrow C stream (pandas, polars, pyarrow, duckdb, ...). The name tells
    the content: equal rows get the same one. Raises ManifestError where `rows` are no table or there are none.
    """
    name, data = write_table(rows)
    place = Storage.open(*resolve(storage, folder))
    io_loop().run(place.write(name, data, durable=True))
    return f"{place.url.rstrip('/')}/{name}"
