"""Waiting for jobs with hints: a look a job while they come, polling where they don't. All in made-up time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crowd import Crowd, Provider
from prefect_trinetra.hearsay import Reliance, Stance
from prefect_trinetra.hints import Hints
from prefect_trinetra.latencies import Latency, Schedule
from prefect_trinetra.outcomes import Job
from virtual_time import VirtualClock

pytestmark = pytest.mark.slow

# Of a job: how long before (below 0) or after its end each hint comes.
Course = Callable[[random.Random], Sequence[float]]


@dataclass
class Crier:
    """Announces each job's end as `course` has it."""

    clock: VirtualClock
    hints: Hints
    course: Course
    chance: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311  # a course of events
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def announce(self, job_id: str, ends_at: float) -> None:
        for delay in self.course(self.chance):
            task = asyncio.create_task(self._tell(job_id, ends_at + delay))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _tell(self, job_id: str, at: float) -> None:
        await self.clock.sleep(at - self.clock.now())
        self.hints.tell(job_id)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def provider(clock: VirtualClock) -> Provider:
    return Provider(clock)


@pytest.fixture
def hints() -> Hints:
    """A source is listening."""
    hints = Hints()
    hints.set_listening(listening=True)
    return hints


def crowd_with(clock: VirtualClock, provider: Provider, hints: Hints, course: Course, jobs: int = 1000) -> Crowd:
    """Jobs of 20 s, 200 at once, run to their end."""
    provider.announce = Crier(clock, hints, course).announce
    crowd = Crowd(provider, provider.poller(hints=hints), jobs, 20.0)
    crowd.run(clock)
    return crowd


def late_jobs(crowd: Crowd) -> set[str]:
    """All but the first two hundred."""
    return {f"job-{number}" for number in range(200, crowd.jobs)}


def test_with_hints_a_job_costs_one_look(clock: VirtualClock, provider: Provider, hints: Hints) -> None:
    """Beyond the first two hundred, whose scouts cost some more; and nearly all ends are seen at once."""
    crowd = crowd_with(clock, provider, hints, lambda chance: [0.05])
    assert len(provider.looks) - crowd.jobs <= 200
    looks, median, late = crowd.figures(late_jobs(crowd))
    assert looks <= 1.06
    assert median <= 0.1
    assert late <= 0.2


@pytest.mark.parametrize(
    "course",
    [
        pytest.param(lambda chance: [], id="all lost"),
        pytest.param(lambda chance: [0.05] if chance.random() < 0.5 else [], id="half lost"),
        pytest.param(lambda chance: [15.0], id="late"),
        pytest.param(lambda chance: [-5.0, 0.05, 0.05, 2.0], id="before the end too, and repeated"),
        pytest.param(lambda chance: [-0.03], id="just before the provider shows it"),
    ],
)
def test_bad_hints_are_no_worse_than_none(
    clock: VirtualClock, provider: Provider, hints: Hints, course: Course
) -> None:
    """Whatever is lost, late, repeated or false: polling's own numbers hold."""
    crowd = crowd_with(clock, provider, hints, course)
    looks, median, late = crowd.figures(late_jobs(crowd))
    # A tenth more than the contract, which is for twice as many jobs: the first ones' knowledge is poor.
    assert looks <= 5.5 * 1.1
    assert median <= 1.0 * 1.1
    assert late <= 3.5 * 1.1
    assert crowd.poller.figures.ended == crowd.jobs


def test_hints_that_are_false_for_every_job_do_little_harm(
    clock: VirtualClock, provider: Provider, hints: Hints
) -> None:
    """Somebody has the token and knows each job: what polling costs grows by a quarter at most."""
    crowd = crowd_with(clock, provider, hints, lambda chance: [-5.0])
    looks, median, late = crowd.figures(late_jobs(crowd))
    assert looks <= 5.5
    assert median <= 1.0 * 1.25
    assert late <= 3.5 * 1.25


def test_hints_that_cease_are_noticed(clock: VirtualClock, provider: Provider, hints: Hints) -> None:
    """The jobs of some seconds are seen late, then all is as without hints. When they come again they are relied on."""
    course: Course = lambda chance: [] if 80 < clock.now() < 180 else [0.05]  # noqa: E731
    crowd = crowd_with(clock, provider, hints, course, jobs=3200)
    ends, seen = provider.ends, crowd.seen
    silent = {job_id for job_id, end in ends.items() if 150 < end < 190}
    assert crowd.figures(silent)[1] <= 1.1
    assert crowd.figures(silent)[2] <= 3.5
    assert max(seen[job_id] - ends[job_id] for job_id in ends) < 40.0
    again = {job_id for job_id, end in ends.items() if end > 255}
    assert len(again) > 200
    assert crowd.figures(again)[0] <= 1.15


def test_while_nobody_listens_all_is_polled(clock: VirtualClock, provider: Provider, hints: Hints) -> None:
    """The subscription broke off; the jobs that wait are looked at as ever, and those it tells of later at once."""
    hints.set_listening(listening=False)
    crowd = crowd_with(clock, provider, hints, lambda chance: [])
    looks, median, late = crowd.figures(late_jobs(crowd))
    assert looks <= 5.5
    assert median <= 1.0
    assert late <= 3.5


def test_a_subscription_that_breaks_off_costs_no_trust(clock: VirtualClock, provider: Provider, hints: Hints) -> None:
    """What was missed meanwhile is not held against the hints that come afterwards."""
    crier = Crier(clock, hints, lambda chance: [] if 60 < clock.now() < 90 else [0.05])
    provider.announce = crier.announce
    poller = provider.poller(hints=hints)
    crowd = Crowd(provider, poller, 1900, 20.0)

    async def outage() -> None:
        await clock.sleep(60.0)
        hints.set_listening(listening=False)
        await clock.sleep(75.0)
        hints.set_listening(listening=True)

    async def both() -> None:
        task = asyncio.create_task(outage())
        await crowd.all_jobs()
        await task

    clock.run(both())
    after = {job_id for job_id, when in crowd.submitted.items() if when > 136}
    assert len(after) > 200
    assert crowd.figures(after)[0] <= 1.1


def test_a_hint_before_the_wait_is_remembered(clock: VirtualClock, provider: Provider, hints: Hints) -> None:
    """A quick job may be announced before the answer to its submit is journaled."""
    poller = provider.poller(hints=hints)

    async def quick() -> None:
        hints.tell("quick")
        assert await provider.job(poller, "quick", -1.0) is not None

    clock.run(quick())
    assert clock.now() <= 0.1
    assert len(provider.looks) == 1


def test_a_hint_during_a_look_brings_another(clock: VirtualClock, provider: Provider, hints: Hints) -> None:
    """The look may have left before the job ended."""
    poller = provider.poller(hints=hints)

    async def waiting() -> None:
        job = asyncio.create_task(provider.job(poller, "a", 0.511))
        while not provider.under_way:
            await clock.sleep(0.001)
        hints.tell("a")
        await job

    clock.run(waiting())
    assert [round(when, 2) for when, _ in provider.looks] == [0.52, 0.55] or len(provider.looks) == 1


def test_a_job_is_not_given_up_without_a_look(clock: VirtualClock, provider: Provider, hints: Hints) -> None:
    """Its hint was lost, and its deadline comes before any look in case of that."""
    poller = provider.poller(hints=hints)

    async def four() -> list[Job | None]:
        scouts = [provider.job(poller, f"scout-{number}", 100.0) for number in range(3)]
        return await asyncio.gather(*scouts, provider.job(poller, "lost", 5.0, deadline=20.0))

    assert clock.run(four())[-1] is not None
    assert sum(job_id == "lost" for _, job_id in provider.looks) == 1


def test_false_hints_bring_few_looks(clock: VirtualClock, provider: Provider, hints: Hints) -> None:
    """A thousand of them about one job cost a handful beyond polling's."""
    poller = provider.poller(hints=hints)

    async def flooded() -> None:
        job = asyncio.create_task(provider.job(poller, "a", 100.0))
        for _ in range(1000):
            hints.tell("a")
            await clock.sleep(0.1)
        await job

    alone = Provider(VirtualClock())
    alone.clock.run(alone.job(alone.poller(), "a", 100.0))
    clock.run(flooded())
    assert len(provider.looks) <= len(alone.looks) + 10
    assert clock.now() <= alone.clock.now() + 1.0


@given(st.lists(st.booleans(), max_size=200))
def test_reliance_is_earned_and_lost(course: list[bool]) -> None:
    """Three in a row earn it; two misses lose it for twenty; it never goes beyond its bounds."""
    reliance = Reliance()
    for was_announced in course:
        reliance = reliance.announced() if was_announced else reliance.missed()
    if len(course) >= 3 and all(course):
        assert reliance.stance is Stance.RELY
    if course[-2:] == [False, False]:
        assert reliance.stance is Stance.POLL
        for _ in range(23):
            reliance = reliance.announced()
        assert reliance.stance is Stance.RELY


@given(
    st.floats(0, 10_000),
    st.none() | st.builds(lambda median: Latency(0.7 * median, median, 1.8 * median), st.floats(0.1, 500)),
    st.floats(0, 1),
)
def test_safety_looks_are_late_and_bounded(looked_at: float, latency: Latency | None, chance: float) -> None:
    """Once they have begun, no two are more than half a minute apart; a few jobs have them early."""
    schedule = Schedule()
    age = schedule.safety_look(looked_at, latency, chance)
    first = schedule.most_step_seconds
    if latency is not None:
        first = latency.late if chance <= 1 - schedule.spot_checks else 1.25 * latency.median
    assert age > looked_at
    assert age >= first * 0.999
    assert age <= max(first, looked_at + schedule.most_step_seconds) + 0.1
