"""The shards of a plan: how one is ordered and worked on, and how many of them are in flight."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from prefect_trinetra.dataset import Identity
from prefect_trinetra.engine import ShardReport, ShardRun
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.holdings import LeaseTimes
from prefect_trinetra.journal import Journal, JournalName, new_writer
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.pacing import SharedRate
from prefect_trinetra.plan import Plan, PlanFiles
from prefect_trinetra.progress import Progress
from prefect_trinetra.provider import Provider, provider_for
from prefect_trinetra.purchase import Buyer, StopSign
from prefect_trinetra.reentry import Before, taken_up
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.shards import Admission, PlannedRows, read_shard, shard_bytes
from prefect_trinetra.spec import RunLimits, RunSpec
from prefect_trinetra.standing import Rules
from prefect_trinetra.steps import ProviderSteps, Steps
from prefect_trinetra.storage import Storage
from prefect_trinetra.stored_plans import mark_applied
from prefect_trinetra.tenancy import holding_shard
from prefect_trinetra.views import LeftOver

__all__ = ["Prepared", "ShardOrder", "ShardWindow", "StepsFactory", "work_on_shard"]

OVER_BUDGET: Final = "its price bound did not fit under what was left of"
NO_TURN: Final = "its turn did not come: run again"


@dataclass(frozen=True)
class Prepared:
    """A plan that is stored in its dataset and ready to be carried out."""

    plan: Plan
    identity: Identity
    until: float | None
    """Seconds since the epoch after which nothing is submitted."""
    generation: int | None = None
    """Of the dataset's lease that this run holds; None where nothing keeps two runs apart."""


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
    generation: int | None = None
    origin: str | None = None
    """Where the dataset's images come from: a worker with an account elsewhere orders nothing."""
    shards: int = 0
    """How many the plan takes, where the cap cuts none short."""
    rate_limit: str | None = None
    """Name of the rate that all workers share; None where each finds its own."""

    @property
    def words(self) -> str:
        """Which shard, counted from 1: `shard 3 of 12`."""
        number = int(self.shard) + 1
        return f"shard {number} of {self.shards}" if number <= self.shards else f"shard {number}"

    def check(self, account: Account) -> None:
        """Raises DatasetError where the account belongs to another API than the dataset."""
        if self.origin is not None and account.origin != self.origin:
            raise DatasetError(
                f"this worker's account is at {account.origin}, and {self.dataset_url} is made at {self.origin}: give "
                "the run a saved credentials block, or the workers the right TRINETRA_API_KEY and TRINETRA_BASE_URL"
            )

    @property
    def path(self) -> str:
        return PlanFiles(self.plan_id).shard(self.shard)


StepsFactory = Callable[[Provider, Storage], Steps]


async def work_on_shard(
    order: ShardOrder,
    storage: Storage,
    account: Account,
    settings: TrinetraSettings,
    *,
    progress: Progress | None = None,
    make_steps: StepsFactory = ProviderSteps,
    shared_rate: SharedRate | None = None,
) -> ShardReport:
    """Works on a shard's rows until each has an outcome; on what earlier tries left of them. Runs on the I/O loop.

    Raises DatasetError where the account belongs to another API than the dataset.
    """
    order.check(account)
    held = holding_shard(
        storage,
        order.plan_id,
        order.shard,
        order.run_id,
        generation=order.generation,
        times=LeaseTimes(settings.lease_seconds),
    )
    async with held as hold:
        rows = await asyncio.to_thread(read_shard, await storage.read(order.path))
        before = Before()
        if hold.is_takeover:
            rules = Rules(frozenset(), settings.max_attempts, settings.honours_idempotency_key)
            rows, before = await taken_up(storage, order.plan_id, order.shard, rows, rules)
        provider = provider_for(account, settings, order.limits, shared_rate)
        journal = Journal(storage, JournalName(order.plan_id, order.shard, new_writer()))
        steps = make_steps(provider, storage)
        stop = _stop_sign(order)
        run = ShardRun(
            storage=storage,
            journal=journal,
            buyer=Buyer(journal, steps, provider.pacer, provider.posts, order.dataset_id, stop, hold.fence),
            steps=steps,
            in_flight=provider.in_flight,
            run_id=order.run_id,
            job_deadline_seconds=order.limits.job_deadline_seconds,
            lifetime_seconds=settings.job_lifetime_seconds,
            progress=progress or Progress(),
            before=before,
        )
        return await run.run(rows)


# What stops one shard of a plan for a reason that holds for all stops those beside it in this process, too.
_plans_stopped: Final[WeakValueDictionary[str, StopSign]] = WeakValueDictionary()


def _stop_sign(order: ShardOrder) -> StopSign:
    of_plan = _plans_stopped.setdefault(order.plan_id, StopSign())
    return StopSign(deadline=order.until, of_plan=of_plan)


@dataclass
class ShardWindow:
    """Admits shards of a plan one after the other, keeping a window of them in flight. Used by one process per run."""

    storage: Storage
    prepared: Prepared
    spec: RunSpec
    rows: PlannedRows
    admission: Admission
    in_flight: int | None = None
    """Shards at once; None: enough for one process."""
    stopped: str | None = None
    images: int = 0
    """What the shards that ended brought in."""
    _number: int = 0
    _open: int = 0

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, storage: Storage, prepared: Prepared, spec: RunSpec, *, in_flight: int | None = None
    ) -> Iterator[ShardWindow]:
        """Reads the stored plan's rows once to a local file, which is deleted in the end."""
        with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
            rows_file = Path(folder) / "rows.parquet"
            io_loop().run(storage.download(PlanFiles(prepared.plan.id).rows, rows_file))
            rows = PlannedRows(rows_file)
            limits, applied = spec.limits, prepared.plan.applies
            if applied is not None:
                io_loop().run(mark_applied(storage, applied, prepared.plan.run_id))
            try:
                admission = Admission(rows.to_do(), prepared.plan.left, limits.shard_size, limits.jobs_in_flight)
                yield cls(storage, prepared, spec, rows, admission, in_flight)
            finally:
                rows.close()

    @property
    def size(self) -> int:
        """Shards at once; where nobody said how many, enough to fill one process's jobs while one of them runs dry."""
        return self.in_flight or max(2, -(-self.spec.limits.jobs_in_flight // self.spec.limits.shard_size) + 1)

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
            # A path is made whole: a worker may run in another folder.
            dataset_url=self.storage.url if self.storage.is_local else self.spec.dataset,
            dataset_id=self.prepared.identity.id,
            plan_id=plan.id,
            shard=f"{self._number:05d}",
            run_id=plan.run_id,
            limits=self.spec.limits,
            until=self.prepared.until,
            generation=self.prepared.generation,
            origin=self.prepared.identity.origin,
            shards=-(-(plan.to_buy + plan.to_collect) // self.spec.limits.shard_size),
        )
        io_loop().run(self.storage.write(order.path, data, durable=True))
        self._number += 1
        self._open += 1
        return order

    def settle(self, report: ShardReport) -> None:
        """A shard ended: what it did not spend lets further rows in."""
        self._open -= 1
        self.images += report.images
        self.admission.settle(report.released, report.spent)
        self.stopped = self.stopped or report.stopped

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
        if self.prepared.plan.cap is None:
            return LeftOver(Outcome.PENDING, NO_TURN, plan_id)
        return LeftOver(Outcome.OVER_BUDGET, f"{OVER_BUDGET} {self.prepared.plan.cap_words}", plan_id)
