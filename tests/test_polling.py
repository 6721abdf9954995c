"""Waiting for jobs: few looks, little delay, and nothing lost by trouble. All in made-up time."""

from __future__ import annotations

import asyncio
import itertools
import math
import statistics
from dataclasses import dataclass, field

import pytest

from prefect_trinetra.errors import JobGone, JobUnreadable
from prefect_trinetra.outcomes import Job, Output
from prefect_trinetra.polling import Poller
from prefect_trinetra.watch import GONE_SECONDS
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
    hidden_until: float = 0.0
    under_way: int = 0
    most_under_way: int = 0

    async def look(self, job_id: str) -> Job:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.clock.sleep(0.02)
        self.under_way -= 1
        now = self.clock.now()
        self.looks.append((now, job_id))
        if now < self.out_until:
            raise JobUnreadable("503", job_id=job_id, retry_after_seconds=self.hint)
        if now < self.hidden_until:
            raise JobGone("404", job_id=job_id, status=404)
        if now >= self.ends[job_id]:
            return Job(job_id, "succeeded", OUTPUTS)
        return Job(job_id, self.unlisted or "processing")

    def poller(self, *, max_concurrent_looks: int = 32) -> Poller:
        chance = itertools.cycle([0.1, 0.9, 0.5]).__next__
        return Poller(self.look, clock=self.clock, max_concurrent_looks=max_concurrent_looks, chance=chance)

    async def job(self, poller: Poller, job_id: str, seconds: float, *, deadline: float = 900) -> Job | None:
        """Submit a job that takes `seconds` and wait for it up to `deadline` seconds from now."""
        now = self.clock.now()
        self.ends[job_id] = now + seconds
        return await poller.wait(job_id, group="m/low", submitted_at=now, deadline=now + deadline)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def provider(clock: VirtualClock) -> Provider:
    return Provider(clock)


def test_the_end_is_seen(clock: VirtualClock, provider: Provider) -> None:
    """The waiter gets the first terminal document, outputs and all."""
    job = clock.run(provider.job(provider.poller(), "a", 3.0))
    assert job == Job("a", "succeeded", OUTPUTS)
    assert 3.0 <= clock.now() <= 4.0


def test_learned_latencies_make_looks_few_and_delays_short(clock: VirtualClock, provider: Provider) -> None:
    """Jobs of 20 s (sigma 0.3), 200 at once: at most 5.5 looks a job, a median delay of 1 s, 95 % within 3.5 s."""
    poller, places = provider.poller(), asyncio.Semaphore(200)
    bends = statistics.NormalDist(0, 0.3).samples(2000, seed=3)
    delays: dict[str, float] = {}

    async def one(job_id: str, bend: float) -> None:
        async with places:
            await provider.job(poller, job_id, 20 * math.exp(bend))
            delays[job_id] = clock.now() - provider.ends[job_id]

    async def all_jobs() -> None:
        await asyncio.gather(*(one(f"job-{number}", bend) for number, bend in enumerate(bends)))

    clock.run(all_jobs())
    learned = {f"job-{number}" for number in range(200, 2000)}
    late = sorted(delays[job_id] for job_id in learned)
    assert sum(job_id in learned for _, job_id in provider.looks) / len(learned) <= 5.5
    assert statistics.median(late) <= 1.0
    assert late[int(0.95 * len(late))] <= 3.5
    assert poller.figures.ended == 2000
    assert poller.figures.looks == len(provider.looks)


def test_ten_thousand_jobs_wait_at_once(clock: VirtualClock, provider: Provider) -> None:
    """They cost no more tasks than the looks under way, and none is forgotten."""
    poller = provider.poller()

    async def all_jobs() -> tuple[list[Job | None], int]:
        waits = [asyncio.create_task(provider.job(poller, f"job-{n}", 30.0)) for n in range(10_000)]
        await clock.sleep(10.0)
        tasks = len(asyncio.all_tasks()) - 1 - len(waits)
        return await asyncio.gather(*waits), tasks

    jobs, tasks = clock.run(all_jobs())
    assert all(job is not None and job.is_terminal for job in jobs)
    assert tasks <= 33
    assert provider.most_under_way <= 32
    assert poller.waiting == 0


def test_looks_at_once_are_limited(clock: VirtualClock, provider: Provider) -> None:
    """However many fall due together, no more than allowed are under way."""
    poller = provider.poller(max_concurrent_looks=3)

    async def all_jobs() -> None:
        await asyncio.gather(*(provider.job(poller, f"job-{n}", 1.0) for n in range(50)))

    clock.run(all_jobs())
    assert provider.most_under_way == 3


def test_the_deadline_ends_the_wait(clock: VirtualClock, provider: Provider) -> None:
    """A job that outlives it is None, at that moment: it is not failed, the next run collects it."""
    assert clock.run(provider.job(provider.poller(), "a", 1000.0, deadline=60.0)) is None
    assert clock.now() == pytest.approx(60.0, abs=0.1)


def test_an_unlisted_state_without_outputs_is_no_end(clock: VirtualClock, provider: Provider) -> None:
    """Nobody knows what it means, so it is looked at until the deadline."""
    provider.unlisted = "hibernating"
    assert clock.run(provider.job(provider.poller(), "a", 1000.0, deadline=30.0)) is None


def test_a_job_of_an_earlier_run_is_looked_at_once_past_its_deadline(clock: VirtualClock, provider: Provider) -> None:
    """It was paid for: one look costs nothing, and only then it is left to the next run."""
    provider.ends = {"done": -50.0, "running": 1000.0}
    poller = provider.poller()

    async def collect(job_id: str) -> Job | None:
        return await poller.wait(job_id, group="m/low", submitted_at=-100.0, deadline=-1.0, first_look_now=True)

    async def both() -> tuple[Job | None, Job | None]:
        return await asyncio.gather(collect("done"), collect("running"))

    assert tuple(clock.run(both())) == (Job("done", "succeeded", OUTPUTS), None)
    assert len(provider.looks) == 2


@pytest.mark.parametrize("hint", [None, 20.0])
def test_an_outage_loses_nothing(clock: VirtualClock, provider: Provider, hint: float | None) -> None:
    """Five minutes without answers: each job is looked at seldom meanwhile, and seen within 45 s after."""
    provider.out_until, provider.hint = 300.0, hint
    poller = provider.poller()

    async def all_jobs() -> list[Job | None]:
        return await asyncio.gather(*(provider.job(poller, f"job-{n}", 5.0) for n in range(20)))

    jobs = clock.run(all_jobs())
    assert all(job is not None and job.is_terminal for job in jobs)
    assert clock.now() <= 345
    assert len(provider.looks) / 20 <= 25


def test_a_trouble_past_the_deadline_does_not_repeat(clock: VirtualClock, provider: Provider) -> None:
    """The one look that a collected job gets may fail: then it is left to the next run, without a storm."""
    provider.out_until, provider.ends = 100.0, {"a": 0.0}
    poller = provider.poller()
    waited = poller.wait("a", group="m/low", submitted_at=-9.0, deadline=-1.0, first_look_now=True)
    assert clock.run(waited) is None
    assert len(provider.looks) == 1


def test_a_retry_after_silences_every_job(clock: VirtualClock, provider: Provider) -> None:
    """One job's 429 with a hint is a word to the whole process."""
    provider.out_until, provider.hint = 1.0, 20.0
    poller = provider.poller()

    async def both() -> None:
        await asyncio.gather(provider.job(poller, "a", 5.0), provider.job(poller, "b", 0.9))

    clock.run(both())
    assert not [when for when, _ in provider.looks if 1.0 < when < 20.0]


def test_a_job_that_is_not_visible_yet_is_looked_at_again(clock: VirtualClock, provider: Provider) -> None:
    """404s in a fresh job's first seconds are no answer."""
    provider.hidden_until = 10.0
    job = clock.run(provider.job(provider.poller(), "a", 5.0))
    assert job is not None
    assert job.is_terminal


def test_a_job_that_stays_hidden_is_gone(clock: VirtualClock, provider: Provider) -> None:
    """After half a minute of 404s the waiter is told, after a handful of looks."""
    provider.hidden_until = 10_000.0
    with pytest.raises(JobGone):
        clock.run(provider.job(provider.poller(), "a", 5.0))
    assert GONE_SECONDS <= clock.now() <= GONE_SECONDS + 5
    assert 3 <= len(provider.looks) <= 10


def test_any_other_error_reaches_the_waiter(clock: VirtualClock) -> None:
    """What the poller knows nothing about is not its to swallow."""

    async def look(job_id: str) -> Job:
        raise ZeroDivisionError(job_id)

    poller = Poller(look, clock=clock)
    with pytest.raises(ZeroDivisionError):
        clock.run(poller.wait("a", group="g", submitted_at=0.0, deadline=60.0))


def test_a_hint_brings_the_look_forward(clock: VirtualClock, provider: Provider) -> None:
    """A webhook's word makes the poller look at once; a hint about a stranger is ignored."""
    poller = provider.poller()

    async def hinted() -> Job | None:
        waiting = asyncio.create_task(provider.job(poller, "a", 100.0))
        await clock.sleep(100.0)
        poller.wake("a")
        poller.wake("stranger")
        return await waiting

    assert clock.run(hinted()) is not None
    assert clock.now() == pytest.approx(100.0, abs=0.1)


def test_a_cancelled_wait_is_forgotten(clock: VirtualClock, provider: Provider) -> None:
    """No look is spent on a job that nobody waits for any more."""
    poller = provider.poller()

    async def cancel() -> None:
        waiting = asyncio.create_task(provider.job(poller, "a", 5.0))
        await clock.sleep(0.1)
        waiting.cancel()
        await clock.sleep(60.0)

    clock.run(cancel())
    assert provider.looks == []
    assert poller.waiting == 0


def test_two_waits_for_one_job_both_end(clock: VirtualClock, provider: Provider) -> None:
    """The same job id may be waited for twice, as when a user polls what a run already collects."""
    poller = provider.poller()

    async def twice() -> tuple[Job | None, Job | None]:
        return await asyncio.gather(provider.job(poller, "a", 2.0), provider.job(poller, "a", 2.0))

    first, second = clock.run(twice())
    assert first == second
    assert first is not None


def test_closing_ends_every_wait(clock: VirtualClock, provider: Provider) -> None:
    """Whoever still waits is cancelled, looks under way too, and closing twice is fine."""
    poller = provider.poller()

    async def close() -> list[Job | BaseException | None]:
        waits = [asyncio.create_task(provider.job(poller, f"job-{n}", 50.0)) for n in range(5)]
        await clock.sleep(0.51)
        await poller.aclose()
        await poller.aclose()
        assert len(asyncio.all_tasks()) <= 1 + len(waits)
        return await asyncio.gather(*waits, return_exceptions=True)

    assert all(isinstance(end, asyncio.CancelledError) for end in clock.run(close()))
