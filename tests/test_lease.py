"""Leases on real storage: one holder at a time, takeovers, and a fence that knows when it no longer holds."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from prefect_trinetra.claim import Claim, forget_older
from prefect_trinetra.errors import DatasetBusy, StorageUnavailable
from prefect_trinetra.holdings import Holding, LeaseTimes
from prefect_trinetra.lease import DATASET_SCOPE, Fence, Lease, Watch, lease_path
from prefect_trinetra.patience import Patience
from prefect_trinetra.storage import Storage
from troubled_store import TroubledStore, troubled_url

# Short, so that a death is soon noticed; long enough for a busy machine to give its signs of life.
TIMES = LeaseTimes(1.0)
_numbers = count()


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage.open(str(tmp_path) if request.param == "local" else f"memory://leases-{next(_numbers)}")


def claim(storage: Storage, run_id: str = "run", scope: str = DATASET_SCOPE) -> Claim:
    return Claim(storage, scope, run_id, TIMES)


async def dies(lease: Lease) -> None:
    """Its process ends without a word."""
    assert lease._beating is not None
    lease._beating.cancel()
    await asyncio.gather(lease._beating, return_exceptions=True)


@pytest.fixture
async def held(storage: Storage) -> AsyncIterator[Lease]:
    lease = await claim(storage, "first").take()
    yield lease
    await lease.release()


async def test_of_many_that_start_together_one_holds(storage: Storage) -> None:
    """Rule: the others wait, and each gets its turn when the one before has released."""
    holders: list[str] = []
    most = 0

    async def one(name: str) -> None:
        nonlocal most
        lease = await claim(storage, name).take()
        holders.append(name)
        most = max(most, len(holders))
        await asyncio.sleep(0)
        holders.remove(name)
        await lease.release()

    await asyncio.gather(*(one(f"run {number}") for number in range(5)))
    assert most == 1
    assert len(await storage.list("leases/dataset")) == 5


async def test_who_does_not_wait_is_told_who_is_at_work(storage: Storage, held: Lease) -> None:
    with pytest.raises(DatasetBusy, match=r"run first on .* \(process \d+"):
        await claim(storage, "second").take(wait=False)


async def test_a_waiting_run_says_once_whom_it_waits_for(storage: Storage, held: Lease) -> None:
    told: list[Holding | None] = []
    waiting = asyncio.create_task(claim(storage, "second").take(on_wait=told.append))
    await asyncio.wait([waiting], timeout=3 * TIMES.beat)
    assert not waiting.done()
    await held.release()
    second = await waiting
    assert [holding.run_id if holding else None for holding in told] == ["first"]
    assert (second.generation, second.is_takeover) == (2, True)
    await second.release()


async def test_a_dead_holder_is_succeeded_and_knows_it_if_it_comes_back(storage: Storage, held: Lease) -> None:
    """Rule: who only seemed dead finds the higher generation before its next order."""
    assert await Fence((held.watch,)).holds()
    await dies(held)
    second = await claim(storage, "second").take()
    assert second.generation == 2
    assert not await Fence((held.watch,)).holds()
    assert await Fence((second.watch,)).holds()
    await second.release()


async def test_a_look_is_good_for_a_while_only(storage: Storage, held: Lease) -> None:
    """Rule: within that while no storage is asked; after it the next order asks."""
    await dies(held)
    clock = HandClock()
    watch = Watch(storage, DATASET_SCOPE, held.generation, TIMES, clock)
    assert await watch.holds()
    await storage.create(lease_path(DATASET_SCOPE, 2), b"{}")
    clock.time = TIMES.fresh
    assert await watch.holds()
    clock.time = TIMES.fresh * 1.01
    assert not await watch.holds()


async def test_a_deleted_lease_holds_no_more(storage: Storage, held: Lease) -> None:
    """Rule: with the file gone others may have begun anew, so nothing is ordered on it."""
    await dies(held)
    await storage.delete(lease_path(DATASET_SCOPE, held.generation))
    await held.watch.look()
    assert not await held.watch.holds()


async def test_a_fence_holds_only_while_all_of_its_generations_stand(storage: Storage, held: Lease) -> None:
    shard = await claim(storage, scope="shards/plan-00000").take()
    fence = Fence((held.watch, shard.watch))
    assert await fence.holds()
    await storage.create(lease_path("shards/plan-00000", 2), b"{}")
    await shard.watch.look()
    assert not await fence.holds()
    await shard.release()


async def test_a_new_holder_clears_up_behind_the_ones_before(storage: Storage) -> None:
    """Rule: older generations and all shards go; its own stays, and with it the fence."""
    for number in range(3):
        lease = await claim(storage).take()
        shard = await claim(storage, scope=f"shards/plan-{number}").take()
        await shard.release()
        await lease.release()
    last = await claim(storage).take()
    await forget_older(storage, last)
    assert await storage.list("leases") == [lease_path(DATASET_SCOPE, 4)]
    await last.watch.look()
    assert await last.watch.holds()
    await last.release()


async def test_no_order_is_sent_while_the_storage_can_not_be_asked(tmp_path: Path) -> None:
    """Rule: not knowing is waiting, never a yes."""
    url = troubled_url(tmp_path / "dataset")
    storage = Storage.open(url)
    await storage.write(lease_path(DATASET_SCOPE, 1), b"{}")
    watch = Watch(storage, DATASET_SCOPE, 1, LeaseTimes(0.1))
    TroubledStore.trouble.hides = True
    asking = asyncio.create_task(watch.holds())
    await asyncio.wait([asking], timeout=0.3)
    assert not asking.done()
    TroubledStore.trouble.hides = False
    assert await asking


class HandClock:
    """A clock that is set by hand."""

    time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


async def test_a_store_that_creates_nothing_is_given_up(tmp_path: Path) -> None:
    """Rule: a store that is busy for once is asked again, one that stays so ends the claim: nobody waits for ever."""
    url = troubled_url(tmp_path)
    impatient = replace(claim(Storage.open(url)), patience=Patience(seconds=0, has_answered=True))
    patient = claim(Storage.open(url))

    def is_busy(number: int) -> bool:
        if number > 1:
            return False
        raise OSError(errno.EBUSY, "the disk is busy")

    TroubledStore.trouble.fails = is_busy
    with pytest.raises(StorageUnavailable, match=r"leases/.*busy"):
        await impatient.take()
    assert TroubledStore.trouble.writes == 1
    await (await patient.take()).release()
    assert TroubledStore.trouble.writes > 2
