"""Waiting for jobs: few looks, little delay, and nothing lost by trouble. All in made-up time."""

from __future__ import annotations

import asyncio

import pytest

from crowd import OUTPUTS, Crowd, Provider
from prefect_trinetra.errors import JobGone
from prefect_trinetra.latencies import Schedule
from prefect_trinetra.outcomes import Job
from prefect_trinetra.polling import Poller
from prefect_trinetra.watch import GONE_SECONDS
from virtual_time import VirtualClock

pytestmark = pytest.mark.slow


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
    crowd = Crowd(provider, provider.poller(), 2000, 20.0)
    crowd.run(clock)
    looks, median, late = crowd.figures({f"job-{number}" for number in range(200, 2000)})
    assert looks <= 5.5
    assert median <= 1.0
    assert late <= 3.5
    assert crowd.poller.figures.ended == 2000
    assert crowd.poller.figures.looks == len(provider.looks)


@pytest.mark.parametrize("then", [5.0, 60.0])
def test_a_new_latency_is_learned_from_fifty_jobs(then: float, clock: VirtualClock, provider: Provider) -> None:
    """Who is submitted when fifty jobs of the new kind were seen costs as much, and is seen as soon, as if all were."""
    crowd = Crowd(provider, provider.poller(), 1800, 20.0, change_at=60.0, seconds_then=then)
    crowd.run(clock)
    new = [job_id for job_id, when in crowd.submitted.items() if when > crowd.change_at]
    learned_at = sorted(crowd.seen[job_id] for job_id in new)[49]
    looks, median, late = crowd.figures({job_id for job_id in new if crowd.submitted[job_id] > learned_at})
    # A tenth more than the contract: a look takes 0.02 s here, which is much of 5 s, and chance does the rest.
    assert looks <= 5.5 * 1.1
    assert median <= then / 20 * 1.1
    assert late <= 3.5 * then / 20 * 1.1


def test_jobs_that_wait_already_profit_from_what_is_learned(clock: VirtualClock, provider: Provider) -> None:
    """A change to quicker jobs moves looks that were set before it was known."""
    crowd = Crowd(provider, provider.poller(), 1200, 20.0, change_at=60.0, seconds_then=2.0)
    crowd.run(clock)
    new = sorted((job_id for job_id, when in crowd.submitted.items() if when > 60.0), key=provider.ends.__getitem__)
    assert crowd.figures(set(new[50:]))[1] <= 0.3
    assert max(crowd.seen[job_id] - provider.ends[job_id] for job_id in new) < 15.0


def test_patience_trades_delay_for_looks() -> None:
    """With twice the patience ends are seen later, with fewer looks."""
    figures = []
    for patience in (0.5, 1.0, 2.0):
        other = VirtualClock()
        shop = Provider(other)
        crowd = Crowd(shop, Poller(shop.look, clock=other, schedule=Schedule(patience=patience)), 600, 20.0)
        crowd.run(other)
        figures.append(crowd.figures({f"job-{number}" for number in range(200, 600)}))
    assert [looks for looks, _, _ in figures] == sorted((looks for looks, _, _ in figures), reverse=True)
    assert [median for _, median, _ in figures] == sorted(median for _, median, _ in figures)


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
    """Nobody knows what it means, so it is looked at until the deadline, and what was seen last is told."""
    provider.unlisted = "hibernating"
    job = clock.run(provider.job(provider.poller(), "a", 1000.0, deadline=30.0))
    assert job is not None
    assert (job.status, job.is_terminal) == ("hibernating", False)
    assert len(provider.looks) > 1


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
    """Five minutes without answers cost a look every few seconds, and every job is seen within 30 s after."""
    provider.out_until, provider.hint = 300.0, hint
    poller = provider.poller()

    async def all_jobs() -> list[Job | None]:
        return await asyncio.gather(*(provider.job(poller, f"job-{n}", 5.0) for n in range(20)))

    jobs = clock.run(all_jobs())
    assert all(job is not None and job.is_terminal for job in jobs)
    assert clock.now() <= 330
    assert len([when for when, _ in provider.looks if when < 300]) <= 100


def test_an_outage_ends_without_a_storm(clock: VirtualClock, provider: Provider) -> None:
    """Five hundred jobs ended in it: each is looked at once when it is over, at first one by one."""
    poller = provider.poller()

    async def all_jobs() -> None:
        waits = [asyncio.create_task(provider.job(poller, f"job-{n}", 30.0)) for n in range(500)]
        await clock.sleep(10.0)
        provider.out_until = 310.0
        await clock.sleep(290.0)
        provider.most_under_way = 0
        await asyncio.gather(*waits)

    clock.run(all_jobs())
    after = [when for when, _ in provider.looks if when > provider.out_until]
    assert clock.now() <= 325
    assert len(after) <= 510
    assert provider.most_under_way <= 32
    assert sum(when < after[0] + 0.05 for when in after) <= 10


def test_one_job_whose_looks_fail_holds_up_nobody(clock: VirtualClock, provider: Provider) -> None:
    """Its looks are spaced out; those at others go on as ever."""
    provider.unreadable = "bad"
    poller = provider.poller()

    async def all_jobs() -> list[Job | None]:
        bad = provider.job(poller, "bad", 5.0, deadline=200.0)
        return await asyncio.gather(bad, *(provider.job(poller, f"job-{n}", 5.0) for n in range(20)))

    bad, *others = clock.run(all_jobs())
    assert bad is None
    assert all(job is not None for job in others)
    assert max(when for when, job_id in provider.looks if job_id != "bad") <= 8.0
    assert sum(job_id == "bad" for _, job_id in provider.looks) <= 40


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
