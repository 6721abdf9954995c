"""Holding a dataset for one run, from before it reads what there is until its views are written; or one shard."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from prefect_trinetra.claim import Claim, forget_older
from prefect_trinetra.errors import ConfigurationError, LeaseLost
from prefect_trinetra.holdings import Holding, HoldState, LeaseTimes
from prefect_trinetra.lease import DATASET_SCOPE, SHARDS_SCOPE, Fence, Lease, Watch
from prefect_trinetra.loop import io_loop
from prefect_trinetra.storage import Storage

__all__ = ["ShardHold", "Tenancy", "holding_shard", "tenancy"]


@dataclass
class Tenancy:
    """A dataset that is held by this run; without a lease nobody checks that it is the only one."""

    storage: Storage
    lease: Lease | None = None
    quiet: bool = True
    """Whether all that the run started has ended when it ends: only then may the next one begin at once."""

    @property
    def generation(self) -> int | None:
        """What workers have to find as the dataset's highest generation; None where nobody looks."""
        return None if self.lease is None else self.lease.generation

    @property
    def is_lost(self) -> bool:
        """Whether another run is known to have taken over."""
        return self.lease is not None and self.lease.watch.lost

    def check(self) -> None:
        """Raises LeaseLost where another run took over: what this one would write may be older than what is there."""
        if self.lease is not None and not io_loop().run(self.lease.watch.holds()):
            raise LeaseLost(
                f"another run has taken over {self.storage.url}: this one gave no sign of life for too long. "
                "What it ordered is recorded, the other run goes on with the rest"
            )


@contextlib.contextmanager
def tenancy(
    storage: Storage,
    run_id: str,
    *,
    times: LeaseTimes,
    wait: bool = True,
    lease: bool = True,
    on_wait: Callable[[Holding | None], None] = lambda _: None,
) -> Iterator[Tenancy]:
    """Holds the dataset as long as the block lasts; waits for the run that holds it now.

    With `lease` false nothing is held or looked for. Raises DatasetBusy where `wait` is false, ConfigurationError where
    the storage can't keep two runs apart.
    """
    if not lease:
        yield Tenancy(storage)
        return
    held = io_loop().run(_held(storage, run_id, times, wait=wait, on_wait=on_wait))
    tenant = Tenancy(storage, held)
    try:
        yield tenant
    finally:
        io_loop().run(held.release(HoldState.RELEASED if tenant.quiet else HoldState.LEFT))


async def _held(
    storage: Storage, run_id: str, times: LeaseTimes, *, wait: bool, on_wait: Callable[[Holding | None], None]
) -> Lease:
    # A store that is full may still have room for what a lease says, and would be waited for later.
    await storage.probe()
    if not await storage.creates_exclusively():
        raise ConfigurationError(
            f"{storage.url} is on a storage that can't tell two runs apart, so nothing would keep them from buying the "
            "same rows. Start one run of this dataset at a time, and say so with --no-lease (lease=False). Nothing was "
            "sent"
        )
    held = await Claim(storage, DATASET_SCOPE, run_id, times).take(wait=wait, on_wait=on_wait)
    try:
        await forget_older(storage, held)
    except BaseException:
        await held.release()
        raise
    return held


@dataclass(frozen=True)
class ShardHold:
    """What a worker holds of a shard: the fence around its orders, and whether somebody was at it before."""

    fence: Fence = field(default_factory=Fence)
    is_takeover: bool = False


@contextlib.asynccontextmanager
async def holding_shard(
    storage: Storage, plan_id: str, shard: str, run_id: str, *, generation: int | None, times: LeaseTimes
) -> AsyncIterator[ShardHold]:
    """Holds a shard of the dataset's `generation` as long as the block lasts; None: nothing is held or looked for.

    Waits for a worker that is at it. Orders are sent only while both the dataset's generation and the shard's stand.
    """
    if generation is None:
        # Without a lease a second try of a shard still finds what the first one did.
        yield ShardHold(is_takeover=True)
        return
    dataset = Watch(storage.impatient, DATASET_SCOPE, generation, times)
    lease = await Claim(storage, f"{SHARDS_SCOPE}/{plan_id}-{shard}", run_id, times).take()
    try:
        yield ShardHold(Fence((dataset, lease.watch)), lease.is_takeover)
    finally:
        await asyncio.shield(lease.release())
