"""Becoming the holder of a scope: waiting for who holds it, taking over from who died, and clearing up behind them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from prefect_trinetra.clock import Clock, ElapsedClock
from prefect_trinetra.errors import DatasetBusy, StorageUnavailable
from prefect_trinetra.holdings import Holding, HoldState, LeaseTimes, Sighting, Verdict
from prefect_trinetra.lease import (
    DATASET_SCOPE,
    LEASES_FOLDER,
    SHARDS_SCOPE,
    Lease,
    Watch,
    generation_of,
    lease_path,
    look_at,
)
from prefect_trinetra.patience import Patience
from prefect_trinetra.storage import Storage

__all__ = ["Claim", "forget_older"]

TOKEN_BYTES: Final = 8
# How often a waiting run looks, as a part of how often a holder gives a sign of life.
LOOKS_PER_BEAT: Final = 5


@dataclass(frozen=True)
class Claim:
    """What one run asks for: a scope of a dataset, on these times. Used on one event loop."""

    storage: Storage
    scope: str
    run_id: str
    times: LeaseTimes = field(default_factory=LeaseTimes)
    clock: Clock = field(default_factory=ElapsedClock)
    patience: Patience = field(default_factory=partial(Patience, has_answered=True))

    async def take(self, *, wait: bool = True, on_wait: Callable[[Holding | None], None] = lambda _: None) -> Lease:
        """The scope's next generation, held by this process and kept alive, once nobody else is at work in it.

        `on_wait` is told, once for each holder, who is waited for. Raises DatasetBusy instead of waiting where `wait`
        is false, StorageUnavailable where the store creates nothing for two minutes.
        """
        sighting = Sighting()
        while True:
            before, sighting = sighting, await self._look(sighting)
            verdict = sighting.verdict(self.clock.now(), self.times)
            if verdict is not Verdict.HELD:
                lease = await self.patience.repeat(partial(self._create, sighting))
                if lease is not None and await self._settle(lease, verdict, sighting.times(self.times)):
                    return lease
                continue
            if not wait:
                raise DatasetBusy(self._busy(sighting.holding))
            if sighting.generation != before.generation:
                on_wait(sighting.holding)
            await self.clock.sleep(self.times.beat / LOOKS_PER_BEAT)

    async def _look(self, sighting: Sighting) -> Sighting:
        return await look_at(self.storage, self.scope, sighting, self.clock.now())

    async def _create(self, sighting: Sighting) -> Lease | None:
        """The next generation, or None where another run was quicker."""
        generation = sighting.generation + 1
        holding = Holding.new(self.run_id, secrets.token_hex(TOKEN_BYTES), self.times)
        try:
            is_ours = await self.storage.create(lease_path(self.scope, generation), holding.to_json())
        except StorageUnavailable:
            # It may have been created all the same; the file then carries our token.
            found = await self._look(Sighting())
            if found.generation < generation:
                raise
            is_ours = found.generation == generation and found.content == holding.to_json()
        if not is_ours:
            return None
        # Both go on after a failure by themselves, and must not be late for the next beat.
        storage = self.storage.impatient
        watch = Watch(storage, self.scope, generation, self.times, self.clock)
        lease = Lease(storage, self.scope, generation, holding, watch, is_takeover=sighting.generation > 0)
        lease.keep_alive()
        return lease

    async def _settle(self, lease: Lease, verdict: Verdict, times: LeaseTimes) -> bool:
        """Waits until the one before has certainly sent its last order; False where yet another run took over then."""
        try:
            if verdict is Verdict.DESERTED:
                await self.clock.sleep(times.settle)
            await lease.watch.look()
        except BaseException:
            await lease.release(HoldState.LEFT)
            raise
        if lease.watch.lost:
            await lease.release(HoldState.LEFT)
        return not lease.watch.lost

    def _busy(self, holding: Holding | None) -> str:
        who = holding.words if holding is not None else "another run"
        return (
            f"{self.storage.url} is being worked on by {who}: wait for it (leave out --no-wait; wait=True), or choose "
            "another dataset folder. Nothing was sent"
        )


async def forget_older(storage: Storage, lease: Lease) -> None:
    """Deletes what earlier holders of the dataset left in `leases/`: their shards, and all generations before `lease`.

    Whoever still belongs to one of them is kept from submitting by the dataset's higher generation.
    """
    own = lease_path(lease.scope, lease.generation)
    old = [
        path
        for path in await storage.list(LEASES_FOLDER)
        if path.startswith(f"{LEASES_FOLDER}/{SHARDS_SCOPE}/")
        or (path.startswith(f"{LEASES_FOLDER}/{DATASET_SCOPE}/") and generation_of(path) < lease.generation)
    ]
    await asyncio.gather(*(storage.delete(path) for path in old if path != own))
