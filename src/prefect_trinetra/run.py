"""A run without Prefect: plan, shards, publish. The flow runs the same three steps as tasks."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any

from prefect_trinetra.engine import ShardReport
from prefect_trinetra.errors import TooManyFailures
from prefect_trinetra.holdings import Holding, LeaseTimes
from prefect_trinetra.loop import io_loop
from prefect_trinetra.plan import Plan
from prefect_trinetra.preparation import prepare
from prefect_trinetra.progress import Progress
from prefect_trinetra.publishing import publish
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage import Storage
from prefect_trinetra.tenancy import Tenancy, tenancy
from prefect_trinetra.window import ShardOrder, ShardWindow, work_on_shard

__all__ = ["generate", "hold", "new_run_id"]


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


def new_run_id() -> str:
    """A fresh run: a cap of its own."""
    return str(uuid.uuid4())


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
        left_over, stopped, made = window.left_over, window.stopped, window.images
    # A person who thinks before saying yes is no part of the run.
    seconds = planned_seconds + progress.seconds
    tenant.check()
    return publish(spec, storage, plan, left_over, stopped=stopped, images_made=made, seconds=seconds)


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
