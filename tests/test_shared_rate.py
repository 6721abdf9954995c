"""One rate for several workers: it is not passed, it is used, and asked for seldom. In made-up time."""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass, field

import pytest

from prefect_trinetra.pacing import Pacer, Share
from test_pacing import LimitedServer
from virtual_time import VirtualClock

pytestmark = pytest.mark.slow


@dataclass
class Slots:
    """A limit as Prefect's server reckons: slots in use decay, and each question rounds the decay down."""

    clock: VirtualClock
    limit: int
    decay: float
    name: str = "submits"
    questions: int = 0
    in_use: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311  # the same each time
    _asked_at: float = 0.0

    async def lease(self, submissions: int) -> Share:
        self.questions += 1
        wanted = min(submissions, self.limit // 2)
        now = self.clock.now()
        self.in_use = max(0, self.in_use - math.floor(self.decay * (now - self._asked_at)))
        self._asked_at = now
        if self.in_use + wanted > self.limit:
            return Share(0, self.decay, (0.5 + self.chance.random()) * wanted / self.decay)
        self.in_use += wanted
        return Share(wanted, self.decay)


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("per_second", [2.0, 5.0, 20.0])
def test_workers_share_a_rate(per_second: float, workers: int) -> None:
    """Together they stay below it but for the slots at the start, use most of it, and seldom ask."""
    clock = VirtualClock()
    server = LimitedServer(clock, per_second)
    slots = Slots(clock, int(10 * per_second), per_second)

    async def all_of_them() -> None:
        pacers = [Pacer(clock=clock, shared=slots) for _ in range(workers)]
        await asyncio.gather(*(server.submit_until(300, pacer, run=run) for run, pacer in enumerate(pacers)))

    clock.run(all_of_them())
    sent = len(server.accepted) + len(server.limited)
    assert sent <= clock.now() * per_second + slots.limit
    assert server.share(60, 300) > 0.7
    # Two that send their parts at the same time are too quick for a moment.
    assert server.limited_part(60) < 0.1
    assert slots.questions / clock.now() < workers / 3
