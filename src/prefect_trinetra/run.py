"""A run without Prefect: plan, shards, publish. The flow runs the same three steps as tasks."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from prefect_trinetra.allowance import Allowance, allowance
from prefect_trinetra.costs import Cost, bound_not_ordered, cost_by_outcome, cost_by_quality
from prefect_trinetra.dataset import Identity, identify, read_identity
from prefect_trinetra.engine import ShardReport
from prefect_trinetra.errors import TooManyFailures
from prefect_trinetra.failures import FAILURES_FILE
from prefect_trinetra.holdings import Holding, LeaseTimes
from prefect_trinetra.known import KnownState, load_known, settle_journals
from prefect_trinetra.loop import io_loop
from prefect_trinetra.manifest import Manifest
from prefect_trinetra.plan import Plan, PlanFiles, PlanTerms
from prefect_trinetra.planner import make_plan
from prefect_trinetra.progress import Progress
from prefect_trinetra.report import DatasetReport, all_outcomes
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.standing import Rules
from prefect_trinetra.storage import Storage
from prefect_trinetra.stored_plans import drop_idle_plans, find_saved, save_plan, store_plan
from prefect_trinetra.tenancy import Tenancy, tenancy
from prefect_trinetra.views import METADATA_FILE, ROWS_FILE, VIEWS, LeftOver, ViewTotals, write_views
from prefect_trinetra.window import Prepared, ShardOrder, ShardWindow, work_on_shard

__all__ = ["generate", "hold", "new_run_id", "plan_only", "prepare", "publish"]


def hold(
    spec: RunSpec,
    settings: TrinetraSettings,
    run_id: str,
    on_wait: Callable[[Holding | None], None] = lambda _: None,
) -> AbstractContextManager[Tenancy]:
    """Holds the spec's dataset from before its plan to after its publishing, as the spec says.

    Raises DatasetBusy, or ConfigurationError where the storage can't keep two runs apart.
    """
    storage = Storage.open(spec.dataset, spec.storage_options)
    times = LeaseTimes(settings.lease_seconds)
    return tenancy(storage, run_id, times=times, wait=spec.wait, lease=spec.lease, on_wait=on_wait)


PLAN_ROWS: Final = "rows.parquet"


def new_run_id() -> str:
    """A fresh run: a cap of its own."""
    return str(uuid.uuid4())


def plan_only(spec: RunSpec, account: Account | None, settings: TrinetraSettings, *, save: bool = False) -> Plan:
    """What a run would do, from the manifest and everything recorded.

    Writes nothing into the dataset, unless the plan is to be saved there for a run to apply. Raises PlanOutdated.
    """
    manifest = _open_manifest(spec)
    storage = Storage.open(spec.dataset, spec.storage_options)
    known = io_loop().run(_look_at(storage, account))
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        plan = _planned(storage, manifest, known, _terms(spec, settings, account, known), Path(folder))
        if save:
            io_loop().run(save_plan(storage, plan, Path(folder) / PLAN_ROWS))
    return plan


def prepare(
    spec: RunSpec, account: Account, settings: TrinetraSettings, run_id: str, *, generation: int | None = None
) -> Prepared:
    """Probes the storage, settles what earlier runs left open, plans, and stores the plan. Spends nothing.

    `generation` is that of the dataset's lease, which the caller holds (see `hold`); None where there is none.
    """
    manifest = _open_manifest(spec)
    storage = Storage.open(spec.dataset, spec.storage_options)
    identity, known = io_loop().run(_take_up(storage, account))
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        plan = _planned(storage, manifest, known, _terms(spec, settings, account, known, run_id), Path(folder))
        io_loop().run(store_plan(storage, plan, Path(folder) / PLAN_ROWS))
    seconds = spec.limits.run_deadline_seconds
    until = None if seconds is None else time.time() + seconds
    return Prepared(plan, identity, until, generation)


def _open_manifest(spec: RunSpec) -> Manifest:
    return Manifest.open(
        spec.manifest,
        parameters=spec.parameters,
        columns=spec.columns,
        template=spec.template,
        storage_options=spec.manifest_options,
    )


async def _look_at(storage: Storage, account: Account | None) -> KnownState:
    identity = await read_identity(storage)
    if identity is not None and account is not None and identity.origin != account.origin:
        await identify(storage, account)
    return await load_known(storage)


async def _take_up(storage: Storage, account: Account) -> tuple[Identity, KnownState]:
    await storage.probe()
    identity = await identify(storage, account)
    await settle_journals(storage)
    return identity, await load_known(storage)


def _planned(storage: Storage, manifest: Manifest, known: KnownState, terms: PlanTerms, folder: Path) -> Plan:
    """The plan, its rows in `folder`. Raises PlanOutdated where it is not the one that is to be applied."""
    rows_file = folder / PLAN_ROWS
    if terms.plan_id is None:
        return make_plan(manifest, known, terms, rows_file)
    saved = io_loop().run(find_saved(storage, terms.plan_id, terms.run_id))
    plan = make_plan(manifest, known, replace(terms, applies=saved.plan), rows_file)
    io_loop().run(saved.refuse_if_outdated(storage, plan, rows_file, folder))
    return plan


def _terms(
    spec: RunSpec, settings: TrinetraSettings, account: Account | None, known: KnownState, run_id: str = ""
) -> PlanTerms:
    return PlanTerms(
        rules=Rules(spec.retry, settings.max_attempts, settings.honours_idempotency_key),
        run_id=run_id,
        samples=spec.samples,
        max_credits=spec.max_credits,
        budget=_allowance(spec, known, but_of=run_id),
        spent_before=known.spent_by(run_id) if run_id else 0.0,
        account_prices=account.credits_per_image if account else settings.credits_per_image,
        plan_id=spec.plan_id,
    )


def _allowance(spec: RunSpec, known: KnownState, *, but_of: str = "") -> Allowance | None:
    if spec.budget is None:
        return None
    return allowance(spec.budget, known.ledger(), datetime.now(UTC), but_of=but_of)


def publish(
    spec: RunSpec,
    storage: Storage,
    plan: Plan,
    left_over: LeftOver,
    *,
    stopped: str | None = None,
    seconds: float = 0.0,
) -> DatasetReport:
    """Writes the dataset's views and the run's report."""
    known = io_loop().run(load_known(storage))
    with tempfile.TemporaryDirectory(prefix="trinetra-") as name:
        folder = Path(name)
        plan_rows = folder / "plan.parquet"
        io_loop().run(storage.download(PlanFiles(plan.id).rows, plan_rows))
        totals = write_views(plan_rows, known, left_over, folder)
        not_ordered = bound_not_ordered(plan_rows, known)
        for view in VIEWS:
            io_loop().run(storage.upload(folder / view, view))
    report = _report(spec, storage, plan, known, totals)
    report = report.model_copy(
        update={"stopped": stopped, "seconds": round(seconds, 2), "credits_not_ordered": not_ordered}
    )
    io_loop().run(drop_idle_plans(storage, plan))
    io_loop().run(storage.write(f"runs/{plan.run_id}.json", report.model_dump_json(indent=2).encode(), durable=True))
    return report


def _report(spec: RunSpec, storage: Storage, plan: Plan, known: KnownState, totals: ViewTotals) -> DatasetReport:
    mine = [attempt for attempt in known.ledger() if attempt.run_id == plan.run_id and attempt.may_have_cost]
    cost = Cost.of(mine)
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
        credits_bound=cost.bound,
        credits_charged=cost.charged,
        credits_at_most=cost.at_most,
        credits_unknown=sum(attempt.bound for attempt in mine if attempt.job_id is None),
        credits_by_quality=cost_by_quality(mine),
        credits_by_outcome=cost_by_outcome(mine),
        overcharges=[attempt.overcharge for attempt in mine if attempt.is_overcharged],
        max_credits=spec.max_credits,
        cap=plan.cap,
        budget=_allowance(spec, known),
        applied_plan_id=plan.applies,
        tolerated_failures=spec.tolerated_failures,
        suspects=totals.suspects,
        outputs_missing=totals.outputs_missing,
        remarks=list(plan.remarks),
    )


def generate(
    spec: RunSpec,
    account: Account,
    settings: TrinetraSettings,
    *,
    run_id: str | None = None,
    progress: Progress | None = None,
    confirm: Callable[[Plan], bool] = lambda plan: True,
    on_wait: Callable[[Holding | None], None] = lambda _: None,
) -> DatasetReport | None:
    """One whole run in this process. None when `confirm` said no to the plan.

    Waits for another run that is at work in the dataset; `on_wait` is told who it is. Raises TooManyFailures, with the
    report, where more rows failed than the spec tolerates, and LeaseLost where another run took the dataset over.
    """
    run_id = run_id or new_run_id()
    with hold(spec, settings, run_id, on_wait) as tenant:
        report = _held_run(spec, account, settings, run_id, tenant, progress or Progress(), confirm)
    if report is not None and not report.within_tolerance:
        raise TooManyFailures(report)
    return report


def _held_run(  # noqa: PLR0917  # what generate was given, and what it holds
    spec: RunSpec,
    account: Account,
    settings: TrinetraSettings,
    run_id: str,
    tenant: Tenancy,
    progress: Progress,
    confirm: Callable[[Plan], bool],
) -> DatasetReport | None:
    started = time.monotonic()
    storage = Storage.open(spec.dataset, spec.storage_options)
    prepared = prepare(spec, account, settings, run_id, generation=tenant.generation)
    plan = prepared.plan
    planned_seconds = time.monotonic() - started
    if not confirm(plan):
        return None
    progress.begin(plan.to_buy - plan.over_cap + plan.to_collect)
    with ShardWindow.open(storage, prepared, spec) as window:
        io_loop().run(_drive(window, lambda order: work_on_shard(order, storage, account, settings, progress=progress)))
        left_over, stopped = window.left_over, window.stopped
    # A person who thinks before saying yes is no part of the run.
    seconds = planned_seconds + progress.seconds
    tenant.check()
    return publish(spec, storage, plan, left_over, stopped=stopped, seconds=seconds)


async def _drive(window: ShardWindow, work: Callable[[ShardOrder], Coroutine[Any, Any, ShardReport]]) -> None:
    """Keeps the window full until nothing more is let in and nothing is in flight."""
    running: set[asyncio.Task[ShardReport]] = set()
    try:
        while True:
            while order := await asyncio.to_thread(window.next_order):
                running.add(asyncio.create_task(work(order), name=f"shard {order.shard}"))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for shard in done:
                if error := shard.exception():
                    window.lost(error)
                else:
                    window.settle(shard.result())
    finally:
        for shard in running:
            shard.cancel()
        await asyncio.gather(*running, return_exceptions=True)
