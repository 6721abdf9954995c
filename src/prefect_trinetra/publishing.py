"""What a run does at its end: the dataset's views and the run's report."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa

from prefect_trinetra.costs import Costs, bound_not_ordered
from prefect_trinetra.failures import FAILURES_FILE
from prefect_trinetra.known import KnownState, load_known
from prefect_trinetra.loop import io_loop
from prefect_trinetra.parts import fold_parts
from prefect_trinetra.plan import Plan, PlanFiles
from prefect_trinetra.preparation import allowance_of
from prefect_trinetra.report import DatasetReport, all_outcomes
from prefect_trinetra.settled import Detail
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage import Storage
from prefect_trinetra.stored_plans import drop_idle_plans
from prefect_trinetra.views import METADATA_FILE, ROWS_FILE, VIEWS, LeftOver, ViewTotals, write_views

__all__ = ["publish"]


def publish(
    spec: RunSpec,
    storage: Storage,
    plan: Plan,
    left_over: LeftOver,
    *,
    stopped: str | None = None,
    images_made: int = 0,
    seconds: float = 0.0,
) -> DatasetReport:
    """Writes the dataset's views and the run's report, once the small files that shards left are folded.

    `stopped`, `images_made` and `seconds` tell of the run.
    """
    io_loop().run(fold_parts(storage, plan.id))
    with tempfile.TemporaryDirectory(prefix="trinetra-") as name:
        report = _written(spec, storage, plan, left_over, Path(name))
        pa.default_memory_pool().release_unused()
        for view in VIEWS:
            io_loop().run(storage.upload(Path(name) / view, view))
    report = report.model_copy(update={"stopped": stopped, "images_made": images_made, "seconds": round(seconds, 2)})
    io_loop().run(drop_idle_plans(storage, plan))
    io_loop().run(storage.write(f"runs/{plan.run_id}.json", report.model_dump_json(indent=2).encode(), durable=True))
    return report


def _written(spec: RunSpec, storage: Storage, plan: Plan, left_over: LeftOver, folder: Path) -> DatasetReport:
    """The report, once the views are in `folder`. What it was made of is let go of before anything is uploaded."""
    # The plan's own look at the same files is over.
    pa.default_memory_pool().release_unused()
    known = io_loop().run(load_known(storage, Detail.IMAGES, run_id=plan.run_id))
    plan_rows = folder / "plan.parquet"
    io_loop().run(storage.download(PlanFiles(plan.id).rows, plan_rows))
    totals = write_views(plan_rows, known, left_over, folder)
    report = _report(spec, storage, plan, known, totals)
    return report.model_copy(update={"credits_not_ordered": bound_not_ordered(plan_rows, known)})


def _report(spec: RunSpec, storage: Storage, plan: Plan, known: KnownState, totals: ViewTotals) -> DatasetReport:
    costs = Costs.of(known.ledger_of(plan.run_id))
    return DatasetReport(
        dataset_url=storage.url,
        images_url=f"{storage.url}/images",
        metadata_url=f"{storage.url}/{METADATA_FILE}",
        rows_url=f"{storage.url}/{ROWS_FILE}",
        failures_url=f"{storage.url}/{FAILURES_FILE}",
        run_id=plan.run_id,
        plan_id=plan.id,
        rows=totals.rows,
        kept=sum(plan.kept.values()),
        duplicates=plan.duplicates,
        images=totals.images,
        outcomes=all_outcomes(totals.outcomes),
        to_buy=plan.to_buy,
        to_collect=plan.to_collect,
        reason_classes={each.value: count for each, count in totals.reason_classes.most_common()},
        credits_bound=costs.total.bound,
        credits_charged=costs.total.charged,
        credits_at_most=costs.total.at_most,
        credits_unknown=costs.unknown.bound,
        credits_by_quality=costs.by_quality,
        credits_by_outcome=costs.by_outcome,
        overcharges=costs.overcharges,
        max_credits=spec.max_credits,
        cap=plan.cap,
        budget=allowance_of(spec, known),
        applied_plan_id=plan.applies,
        tolerated_failures=spec.tolerated_failures,
        suspects=totals.suspects,
        near_duplicates=totals.near_duplicates,
        usable=totals.usable,
        usable_cost=totals.cost,
        outputs_missing=totals.outputs_missing,
        remarks=list(plan.remarks),
    )
