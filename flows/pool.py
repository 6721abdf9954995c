"""Shards as flow runs of a deployment, which the workers of its work pool carry out wherever they are.

A shard's report comes back through the dataset; whether its worker lives, the shard's lease says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from prefect.client.schemas.objects import FlowRun
from prefect.logging import get_run_logger

from prefect_trinetra.blocks.credentials import TrinetraCredentials
from prefect_trinetra.blocks.references import reference
from prefect_trinetra.blocks.storage import StorageBlock
from prefect_trinetra.errors import TrinetraError
from prefect_trinetra.flows.child_runs import bury, cancel, check_deployment, order_of, read_runs, start, still_open
from prefect_trinetra.flows.crews import SHARDS_ELSEWHERE, Ended, refuse_unfit_run
from prefect_trinetra.holdings import HoldState, LeaseTimes, Sighting
from prefect_trinetra.lease import SHARDS_SCOPE, look_at
from prefect_trinetra.loop import io_loop
from prefect_trinetra.plan import PlanFiles
from prefect_trinetra.settings import load_settings
from prefect_trinetra.shard_reports import read_report
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage import Storage
from prefect_trinetra.window import ShardOrder

__all__ = ["PoolCrew", "ShardLost", "is_silent"]

# One API call, for all shards together.
LOOK_SECONDS: Final = 3.0
TRIES: Final = 3
# A live worker gives a sign of life four times as often as its lease allows.
SILENT_LEASES: Final = 3
# Until a run that a worker has begun to start holds its shard: an image may have to be fetched.
START_SECONDS: Final = 600.0
# While the server does not answer the shards go on by themselves.
UNREACHABLE_SECONDS: Final = 900.0


class ShardLost(TrinetraError):
    """A shard whose flow runs ended without a report: what they ordered is journaled, the next run goes on with it."""


@dataclass
class _Child:
    order: ShardOrder
    run_id: UUID
    row_tasks: bool = False
    tries: int = 1
    is_earlier: bool = False
    """An earlier try of this flow run started it."""
    sighting: Sighting = field(default_factory=lambda: Sighting(first_seen_at=time.monotonic()))
    generation_before: int = 0
    """Of the shard's lease when this run of it was started: what an earlier one held."""


class PoolCrew:
    """Shards as runs of `deployment`. Raises ConfigurationError, before anything is spent, for what can't go there."""

    works_here = False

    def __init__(
        self,
        spec: RunSpec,
        deployment: str,
        credentials: TrinetraCredentials | None,
        storage: StorageBlock | None,
        in_flight: int | None,
    ) -> None:
        refuse_unfit_run(spec, f"the deployment {deployment}")
        self._parameters = {"credentials": reference(credentials), "storage": reference(storage)}
        io_loop().run(check_deployment(deployment))
        self.in_flight: int | None = in_flight or SHARDS_ELSEWHERE
        self._deployment = deployment
        self._place = Storage.open(spec.dataset, spec.storage_options)
        self._times = LeaseTimes(load_settings().lease_seconds)
        self._open: list[_Child] = []
        self._next_look = 0.0
        self._answered_at = time.monotonic()

    def take(self, order: ShardOrder, *, row_tasks: bool) -> None:
        child = _Child(order, io_loop().run(self._start(order, row_tasks=row_tasks, tries=1)), row_tasks)
        self._open.append(child)

    def ended(self, seconds: float) -> list[Ended]:
        wait = self._next_look - time.monotonic()
        if wait > 0:
            time.sleep(min(wait, seconds))
        if wait > seconds:
            return []
        try:
            ended = io_loop().run(self._look())
            self._answered_at = time.monotonic()
        except Exception as error:
            if time.monotonic() - self._answered_at > UNREACHABLE_SECONDS:
                raise
            get_run_logger().warning("the shards could not be looked at, and go on meanwhile: %s", error)
            ended = []
        self._next_look = time.monotonic() + LOOK_SECONDS
        return ended

    def rows_done(self) -> int:
        return 0

    def stop(self) -> None:
        io_loop().run(cancel([child.run_id for child in self._open]))

    def finish_earlier(self, run_id: str, check: Callable[[], None]) -> None:
        with suppress(ValueError):  # no flow run: it has no earlier try
            found = io_loop().run(still_open(UUID(run_id)))
            orders = [(run.id, order_of(run)) for run in found]
            self._open = [_Child(order, each, is_earlier=True) for each, order in orders if order is not None]
        if self._open:
            get_run_logger().info("waiting for %d shards that an earlier try of this run started", len(self._open))
        while self._open:
            check()
            self.ended(1.0)

    async def _start(self, order: ShardOrder, *, row_tasks: bool, tries: int) -> UUID:
        return await start(self._deployment, order, tries, {**self._parameters, "row_tasks": row_tasks})

    async def _look(self) -> list[Ended]:
        if not self._open:
            return []
        runs = await read_runs(child.run_id for child in self._open)
        told = [(child, await self._told(child, runs.get(child.run_id))) for child in self._open]
        self._open = [child for child, ended in told if ended is None]
        return [ended for _, ended in told if ended is not None]

    async def _told(self, child: _Child, run: FlowRun | None) -> Ended | None:
        """What became of a shard; None while it is worked on, by this run of it or by the next."""
        state = run.state if run is not None else None
        if run is None or state is None:
            return await self._again(child, "its flow run was deleted")
        if state.is_completed():
            with suppress(FileNotFoundError):
                path = PlanFiles(child.order.plan_id).report(child.order.shard)
                return read_report(await self._place.read(path))
            return await self._again(child, "it ended without a report")
        if state.is_cancelled():
            return ShardLost(f"shard {child.order.shard} was cancelled")
        if state.is_final():
            return await self._again(child, f"{state.name}: {state.message}")
        if state.is_scheduled():
            child.sighting = replace(child.sighting, first_seen_at=time.monotonic())
            return None
        scope = f"{SHARDS_SCOPE}/{child.order.plan_id}-{child.order.shard}"
        child.sighting = await look_at(self._place, scope, child.sighting, time.monotonic())
        is_its_own = child.sighting.generation > child.generation_before
        if not is_silent(child.sighting, time.monotonic(), self._times, is_its_own=is_its_own):
            return None
        why = "its worker gives no sign of life"
        await bury(child.run_id, why)
        return await self._again(child, why)

    async def _again(self, child: _Child, why: str) -> Ended | None:
        if child.is_earlier or child.tries >= TRIES:
            return ShardLost(f"shard {child.order.shard} broke off ({why})")
        get_run_logger().warning("shard %s is given to another worker: %s", child.order.shard, why)
        child.tries += 1
        child.run_id = await self._start(child.order, row_tasks=child.row_tasks, tries=child.tries)
        child.generation_before = child.sighting.generation
        child.sighting = replace(child.sighting, first_seen_at=time.monotonic())
        return None


def is_silent(sighting: Sighting, now: float, own: LeaseTimes, *, is_its_own: bool) -> bool:
    """Whether a shard's worker is gone, as far as the shard's lease tells. To err costs a flow run and no order.

    Before it holds a lease of its own, and after it let go of it, there is nothing but time to tell.
    """
    holding = sighting.holding
    is_held = is_its_own and holding is not None and holding.state is HoldState.HELD
    return now - sighting.first_seen_at > (SILENT_LEASES * sighting.times(own).dead if is_held else START_SECONDS)
