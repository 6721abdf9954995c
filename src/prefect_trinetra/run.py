"""A run without Prefect: plan, shards, publish. The flow runs the same three steps as tasks."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prefect_trinetra.dataset import Identity, identify, read_identity
from prefect_trinetra.engine import ShardReport, ShardRun
from prefect_trinetra.errors import TooManyFailures
from prefect_trinetra.journal import Journal, JournalName, new_writer
from prefect_trinetra.known import KnownState, load_known, settle_journals
from prefect_trinetra.loop import io_loop
from prefect_trinetra.manifest import Manifest
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import Budget, Plan, PlanFiles, PlanTerms, make_plan
from prefect_trinetra.progress import Progress
from prefect_trinetra.provider import Provider, provider_for
from prefect_trinetra.purchase import Buyer, StopSign
from prefect_trinetra.report import DatasetReport, all_outcomes
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.shards import Admission, PlannedRows, read_shard, shard_bytes
from prefect_trinetra.spec import RunLimits, RunSpec
from prefect_trinetra.standing import Rules
from prefect_trinetra.steps import ProviderSteps, Steps
from prefect_trinetra.storage import Storage
from prefect_trinetra.views import METADATA_FILE, ROWS_FILE, LeftOver, ViewTotals, write_views

__all__ = [
    "ShardOrder",
    "ShardWindow",
    "generate",
    "new_run_id",
    "plan_only",
    "prepare",
    "publish",
    "work_on_shard",
]

OVER_BUDGET: Final = "its price bound did not fit under what was left of max_credits"
NO_TURN: Final = "its turn did not come: run again"


def new_run_id() -> str:
    """A fresh run: a cap of its own."""
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Prepared:
    """A plan that is stored in its dataset and ready to be carried out."""

    plan: Plan
    identity: Identity
    until: float | None
    """Seconds since the epoch after which nothing is submitted."""


def plan_only(spec: RunSpec, account: Account | None, settings: TrinetraSettings) -> Plan:
    """What a run would do, from the manifest and everything recorded; writes nothing into the dataset."""
    manifest = _open_manifest(spec)
    storage = Storage.open(spec.dataset, spec.storage_options)
    known = io_loop().run(_look_at(storage, account))
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        return make_plan(manifest, known, _terms(spec, settings, account, known), Path(folder) / "rows.parquet")


def prepare(spec: RunSpec, account: Account, settings: TrinetraSettings, run_id: str) -> Prepared:
    """Probes the storage, settles what earlier runs left open, plans, and stores the plan. Spends nothing."""
    manifest = _open_manifest(spec)
    storage = Storage.open(spec.dataset, spec.storage_options)
    identity, known = io_loop().run(_take_up(storage, account))
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        rows_file = Path(folder) / "rows.parquet"
        plan = make_plan(manifest, known, _terms(spec, settings, account, known, run_id), rows_file)
        io_loop().run(_store_plan(storage, plan, rows_file))
    seconds = spec.limits.run_deadline_seconds
    return Prepared(plan, identity, None if seconds is None else time.time() + seconds)


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


async def _store_plan(storage: Storage, plan: Plan, rows_file: Path) -> None:
    files = PlanFiles(plan.id)
    await storage.upload(rows_file, files.rows)
    await storage.write(files.summary, plan.to_json(), durable=True)


def _terms(
    spec: RunSpec, settings: TrinetraSettings, account: Account | None, known: KnownState, run_id: str = ""
) -> PlanTerms:
    return PlanTerms(
        rules=Rules(spec.retry, settings.max_attempts, settings.honours_idempotency_key),
        run_id=run_id,
        samples=spec.samples,
        budget=Budget(spec.max_credits, known.spent_by(run_id) if run_id else 0.0),
        account_prices=account.credits_per_image if account else settings.credits_per_image,
    )


@dataclass(frozen=True)
class ShardOrder:
    """All that a worker needs to know of a shard, in plain data: no secret, and nothing of this machine."""

    dataset_url: str
    dataset_id: str
    plan_id: str
    shard: str
    run_id: str
    limits: RunLimits
    until: float | None = None

    @property
    def path(self) -> str:
        return f"{PlanFiles(self.plan_id).folder}/shards/{self.shard}.jsonl"


StepsFactory = Callable[[Provider, Storage], Steps]


async def work_on_shard(
    order: ShardOrder,
    storage: Storage,
    account: Account,
    settings: TrinetraSettings,
    *,
    progress: Progress | None = None,
    make_steps: StepsFactory = ProviderSteps,
) -> ShardReport:
    """Reads a shard file and works on its rows. Runs on the I/O loop."""
    rows = await asyncio.to_thread(read_shard, await storage.read(order.path))
    provider = provider_for(account, settings, order.limits)
    journal = Journal(storage, JournalName(order.plan_id, order.shard, new_writer()))
    steps = make_steps(provider, storage)
    run = ShardRun(
        storage=storage,
        journal=journal,
        buyer=Buyer(journal, steps, provider.pacer, provider.posts, order.dataset_id, StopSign(deadline=order.until)),
        steps=steps,
        in_flight=provider.in_flight,
        run_id=order.run_id,
        job_deadline_seconds=order.limits.job_deadline_seconds,
        lifetime_seconds=settings.job_lifetime_seconds,
        progress=progress or Progress(),
    )
    return await run.run(rows)


@dataclass
class ShardWindow:
    """Admits shards of a plan one after the other, keeping a window of them in flight. Used by one process per run."""

    storage: Storage
    prepared: Prepared
    spec: RunSpec
    rows: PlannedRows
    admission: Admission
    stopped: str | None = None
    _number: int = 0
    _open: int = 0

    @classmethod
    @contextlib.contextmanager
    def open(cls, storage: Storage, prepared: Prepared, spec: RunSpec) -> Iterator[ShardWindow]:
        """Reads the stored plan's rows once to a local file, which is deleted in the end."""
        with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
            rows_file = Path(folder) / "rows.parquet"
            io_loop().run(storage.download(PlanFiles(prepared.plan.id).rows, rows_file))
            rows = PlannedRows(rows_file)
            left = Budget(spec.max_credits, prepared.plan.spent_before).left
            try:
                yield cls(storage, prepared, spec, rows, Admission(rows.to_do(), left, spec.limits.shard_size))
            finally:
                rows.close()

    @property
    def size(self) -> int:
        """Shards at once: enough to fill the jobs in flight while one of them runs dry."""
        return max(2, -(-self.spec.limits.jobs_in_flight // self.spec.limits.shard_size) + 1)

    def next_order(self) -> ShardOrder | None:
        """The next shard, its file written; None while nothing may be let in."""
        if self.stopped is not None or self._open >= self.size:
            return None
        positions = self.admission.next_shard()
        if not positions:
            return None
        data = shard_bytes([self.rows.at(position) for position in positions])
        plan = self.prepared.plan
        order = ShardOrder(
            dataset_url=self.spec.dataset,
            dataset_id=self.prepared.identity.id,
            plan_id=plan.id,
            shard=f"{self._number:05d}",
            run_id=plan.run_id,
            limits=self.spec.limits,
            until=self.prepared.until,
        )
        io_loop().run(self.storage.write(order.path, data, durable=True))
        self._number += 1
        self._open += 1
        return order

    def settle(self, report: ShardReport) -> None:
        """A shard ended: what it did not spend lets further rows in."""
        self._open -= 1
        self.admission.settle(report.released, report.spent)
        self.stopped = self.stopped or report.stopped
        if report.overcharges:
            self.stopped = self.stopped or f"charged above the bound: {report.overcharges[0]}"

    def lost(self, error: BaseException) -> None:
        """A shard ended without a report: what it was let in for stays counted as spent, and nothing more is let in."""
        self._open -= 1
        self.stopped = self.stopped or f"a shard broke off: {error}"

    @property
    def left_over(self) -> LeftOver:
        """What is said of rows that were not let in, or whose turn did not come."""
        plan_id = self.prepared.plan.id
        if self.stopped is not None:
            return LeftOver(Outcome.PENDING, f"not submitted: {self.stopped}", plan_id)
        if self.spec.max_credits is None:
            return LeftOver(Outcome.PENDING, NO_TURN, plan_id)
        return LeftOver(Outcome.OVER_BUDGET, OVER_BUDGET, plan_id)


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
        io_loop().run(storage.download(PlanFiles(plan.id).rows, folder / "plan.parquet"))
        totals = write_views(folder / "plan.parquet", known, left_over, folder / METADATA_FILE, folder / ROWS_FILE)
        for view in (METADATA_FILE, ROWS_FILE):
            io_loop().run(storage.upload(folder / view, view))
    report = _report(spec, storage, plan, known, totals)
    report = report.model_copy(update={"stopped": stopped, "seconds": round(seconds, 2)})
    io_loop().run(storage.write(f"runs/{plan.run_id}.json", report.model_dump_json(indent=2).encode(), durable=True))
    return report


def _report(spec: RunSpec, storage: Storage, plan: Plan, known: KnownState, totals: ViewTotals) -> DatasetReport:
    mine = [attempt for attempt in known.ledger() if attempt.run_id == plan.run_id and attempt.may_have_cost]
    return DatasetReport(
        dataset_url=storage.url,
        images_url=f"{storage.url}/images",
        metadata_url=f"{storage.url}/{METADATA_FILE}",
        rows_url=f"{storage.url}/{ROWS_FILE}",
        run_id=plan.run_id,
        plan_id=plan.id,
        rows=totals.rows,
        kept=sum(plan.kept.values()),
        duplicates=plan.duplicates,
        images=totals.images,
        outcomes=all_outcomes(totals.outcomes),
        credits_bound=sum(attempt.bound for attempt in mine),
        credits_charged=sum(attempt.credits_charged or 0.0 for attempt in mine),
        credits_unknown=sum(attempt.bound for attempt in mine if attempt.job_id is None),
        max_credits=spec.max_credits,
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
) -> DatasetReport | None:
    """One whole run in this process. None when `confirm` said no to the plan.

    Raises TooManyFailures, with the report, where more rows failed than the spec tolerates.
    """
    progress = progress or Progress()
    storage = Storage.open(spec.dataset, spec.storage_options)
    prepared = prepare(spec, account, settings, run_id or new_run_id())
    plan = prepared.plan
    if not confirm(plan):
        return None
    progress.begin(plan.to_buy - plan.over_cap + plan.to_collect)
    with ShardWindow.open(storage, prepared, spec) as window:
        io_loop().run(_drive(window, lambda order: work_on_shard(order, storage, account, settings, progress=progress)))
        left_over, stopped = window.left_over, window.stopped
    report = publish(spec, storage, plan, left_over, stopped=stopped, seconds=progress.seconds)
    if not report.within_tolerance:
        raise TooManyFailures(report)
    return report


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
