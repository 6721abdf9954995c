"""The beginning and the end of a dataset's run, and the manifest that may come before it."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

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
from prefect_trinetra.views import LeftOver
from prefect_trinetra.window import Prepared

__all__ = ["plan_dataset", "publish_dataset", "write_manifest"]


# These two are neither cached nor persisted: a flow run that is tried again has to plan and to publish again.
@task(name="plan_dataset", cache_policy=NO_CACHE, persist_result=False, retries=0)
def plan_dataset(
    spec: RunSpec, run_id: str, credentials: TrinetraCredentials | None = None, *, generation: int | None = None
) -> Prepared:
    """Settles what earlier runs left open, and stores the plan of this one in the dataset. Spends nothing.

    `generation` is that of the dataset's lease, which the flow run holds.
    """
    return prepare(spec, account_of(credentials), load_settings(), run_id, generation=generation)


@task(name="publish_dataset", cache_policy=NO_CACHE, persist_result=False, retries=0)
def publish_dataset(
    spec: RunSpec, plan: Plan, left_over: LeftOver, *, stopped: str | None = None, seconds: float = 0.0
) -> DatasetReport:
    """Writes the dataset's tables and the run's report. `stopped` says why submitting ended early, if it did."""
    storage = Storage.open(spec.dataset, spec.storage_options)
    return publish(spec, storage, plan, left_over, stopped=stopped, seconds=seconds)


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
