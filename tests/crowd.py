"""A provider in made-up time, and many jobs that are waited for at once."""

from __future__ import annotations

import asyncio
import itertools
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from prefect_trinetra.errors import JobGone, JobUnreadable
from prefect_trinetra.hints import Hints
from prefect_trinetra.outcomes import Job, Output
from prefect_trinetra.polling import Poller
from virtual_time import VirtualClock

OUTPUTS = (Output(url="https://cdn.example/a.png", type="image"),)


@dataclass
class Provider:
    """Jobs that end at a time of their own, and a status endpoint that is slow, out, busy or silent about them."""

    clock: VirtualClock
    ends: dict[str, float] = field(default_factory=dict)
    looks: list[tuple[float, str]] = field(default_factory=list)
    unlisted: str | None = None
    hint: float | None = None
    out_until: float = 0.0
    unreadable: str | None = None
    hidden_until: float = 0.0
    under_way: int = 0
    most_under_way: int = 0
    announce: Callable[[str, float], None] = lambda job_id, ends_at: None

    async def look(self, job_id: str) -> Job:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.clock.sleep(0.02)
        self.under_way -= 1
        now = self.clock.now()
        self.looks.append((now, job_id))
        if now < self.out_until or job_id == self.unreadable:
            raise JobUnreadable("503", job_id=job_id, retry_after_seconds=self.hint)
        if now < self.hidden_until:
            raise JobGone("404", job_id=job_id, status=404)
        if now >= self.ends[job_id]:
            return Job(job_id, "succeeded", OUTPUTS)
        return Job(job_id, self.unlisted or "processing")

    def poller(self, *, max_concurrent_looks: int = 32, hints: Hints | None = None) -> Poller:
        chance = itertools.cycle([0.1, 0.9, 0.5, 0.3, 0.7, 0.6, 0.4, 0.8]).__next__
        return Poller(
            self.look, clock=self.clock, max_concurrent_looks=max_concurrent_looks, chance=chance, hints=hints
        )

    async def job(self, poller: Poller, job_id: str, seconds: float, *, deadline: float = 900) -> Job | None:
        """Submit a job that takes `seconds` and wait for it up to `deadline` seconds from now."""
        now = self.clock.now()
        self.ends[job_id] = now + seconds
        self.announce(job_id, now + seconds)
        return await poller.wait(job_id, group="m/low", submitted_at=now, deadline=now + deadline)


@dataclass
class Crowd:
    """Many jobs, 200 at once, whose median time changes at some moment; what they cost and how late they were seen."""

    provider: Provider
    poller: Poller
    jobs: int
    seconds: float
    change_at: float = math.inf
    seconds_then: float = 0.0
    submitted: dict[str, float] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)

    def run(self, clock: VirtualClock) -> None:
        clock.run(self.all_jobs())

    async def all_jobs(self) -> None:
        """Submit them all, and wait for all."""
        places, bends = asyncio.Semaphore(200), statistics.NormalDist(0, 0.3).samples(self.jobs, seed=3)

        async def one(job_id: str, bend: float) -> None:
            async with places:
                now = self.submitted[job_id] = self.provider.clock.now()
                median = self.seconds if now < self.change_at else self.seconds_then
                assert await self.provider.job(self.poller, job_id, median * math.exp(bend)) is not None
                self.seen[job_id] = self.provider.clock.now()

        await asyncio.gather(*(one(f"job-{number}", bend) for number, bend in enumerate(bends)))

    def figures(self, jobs: set[str]) -> tuple[float, float, float]:
        """Looks a job, the median delay and that of 95 %, in seconds."""
        late = sorted(self.seen[job_id] - self.provider.ends[job_id] for job_id in jobs)
        looks = sum(job_id in jobs for _, job_id in self.provider.looks)
        return looks / len(jobs), statistics.median(late), late[int(0.95 * len(late))]
