"""Who may submit for a dataset, or for a shard of a plan: a scope and a generation.

    leases/<scope>/<generation>.json

A generation is created exclusively, once. Its holder changes a counter in it; who sees that unchanged for long enough
creates the next one, waits, and only then reads journals and plans. Whoever submits looks before each POST, or has
looked a short while ago, whether there is a higher generation. No two clocks are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from prefect_trinetra.clock import Clock, ElapsedClock
from prefect_trinetra.errors import StorageError
from prefect_trinetra.holdings import Holding, HoldState, LeaseTimes, Sighting
from prefect_trinetra.storage import Storage

__all__ = [
    "DATASET_SCOPE",
    "LEASES_FOLDER",
    "SHARDS_SCOPE",
    "Fence",
    "Lease",
    "Watch",
    "generation_of",
    "latest_generation",
    "lease_path",
    "look_at",
]

logger = logging.getLogger(__name__)

LEASES_FOLDER: Final = "leases"
DATASET_SCOPE: Final = "dataset"
SHARDS_SCOPE: Final = "shards"


def lease_path(scope: str, generation: int) -> str:
    """The file of one generation."""
    return f"{LEASES_FOLDER}/{scope}/{generation:08d}.json"


def generation_of(path: str) -> int:
    """The generation that a path below `leases/` names; 0 for a file that is none of ours."""
    stem = path.rpartition("/")[2].removesuffix(".json")
    return int(stem) if stem.isdigit() else 0


async def latest_generation(storage: Storage, scope: str) -> int:
    """The highest generation of a scope; 0 where there is none."""
    return max(map(generation_of, await storage.list(f"{LEASES_FOLDER}/{scope}")), default=0)


async def look_at(storage: Storage, scope: str, before: Sighting, now: float) -> Sighting:
    """What a scope's latest generation says now, given what was seen `before`."""
    generation = await latest_generation(storage, scope)
    content = b""
    # A generation that is cleared away between the two calls is followed by a higher one.
    with contextlib.suppress(FileNotFoundError):
        content = await storage.read(lease_path(scope, generation)) if generation else b""
    return before.then(generation, content, now)


@dataclass
class Watch:
    """Looks whether a generation is still the highest of its scope. Used on one event loop."""

    storage: Storage
    scope: str
    generation: int
    times: LeaseTimes = field(default_factory=LeaseTimes)
    clock: Clock = field(default_factory=ElapsedClock)
    lost: bool = False
    _seen_at: float = float("-inf")
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def holds(self) -> bool:
        """Whether no higher generation was there within the last moments; a look is made only when the last is old.

        While the storage can't be read the answer is not known, and this waits.
        """
        while not self._is_told:
            async with self._looking:
                if not self._is_told:
                    await self._look_at_length()
        return not self.lost

    async def look(self) -> None:
        """One look. Raises StorageError where the storage can't be read."""
        began = self.clock.now()
        # A lower one means that somebody deleted the lease: others may have begun anew, unseen.
        if await latest_generation(self.storage, self.scope) != self.generation:
            self.lost = True
        # When it began, not when it ended: what was created meanwhile may not be in the listing.
        self._seen_at = began

    @property
    def is_good(self) -> bool:
        """Whether the last look is young enough, and found nobody."""
        return not self.lost and self._is_told

    @property
    def _is_told(self) -> bool:
        return self.lost or self.clock.now() - self._seen_at <= self.times.fresh

    async def _look_at_length(self) -> None:
        try:
            await self.look()
        except StorageError as error:
            logger.warning("no order is sent until the lease can be checked: %s", error)
            await self.clock.sleep(self.times.beat)


@dataclass(frozen=True)
class Fence:
    """What has to hold for an order to be sent: all of these generations are still the highest. None always holds."""

    watches: Sequence[Watch] = ()

    async def holds(self) -> bool:
        """Whether an order may be sent now."""
        # Again from the first, which may have become old while the last was waited for.
        while not all(watch.is_good for watch in self.watches):
            for watch in self.watches:
                if not await watch.holds():
                    return False
        return True

    @property
    def words(self) -> str:
        return "another run has taken over this dataset, or this part of it, and goes on with the work"


@dataclass
class Lease:
    """A generation that this process created, kept alive until it is released. Used on one event loop."""

    storage: Storage
    scope: str
    generation: int
    holding: Holding
    watch: Watch
    is_takeover: bool
    """Whether somebody may have left work in this scope before."""
    _beating: asyncio.Task[None] | None = None

    def keep_alive(self) -> None:
        self._beating = asyncio.create_task(self._beat(), name=f"lease {self.scope}")

    async def release(self, state: HoldState = HoldState.RELEASED) -> None:
        """Ends it: who comes next takes over at once (RELEASED), or after a wait (LEFT). Never fails."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        try:
            await self._write(self.holding.ended(state))
        except StorageError as error:
            logger.warning("the lease was not released (%s): who comes next waits until it looks dead", error)

    async def _beat(self) -> None:
        while not self.watch.lost:
            await self.watch.clock.sleep(self.watch.times.beat)
            try:
                await self.watch.look()
                if not self.watch.lost:
                    self.holding = self.holding.after_beat()
                    await self._write(self.holding)
            except StorageError as error:
                logger.warning("no sign of life could be given for the lease %s: %s", self.scope, error)

    async def _write(self, holding: Holding) -> None:
        await self.storage.write(lease_path(self.scope, self.generation), holding.to_json())
