"""When submissions leave: known rates, unknown limits, pauses, and jobs in flight. All in made-up time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.pacing import InFlight, Pacer
from prefect_trinetra.rates import TokenBucket
from virtual_time import VirtualClock

pytestmark = pytest.mark.slow


@dataclass
class LimitedServer:
    """A provider that takes `per_second` submissions, one second's worth at once, and answers after `seconds`."""

    clock: VirtualClock
    per_second: float
    seconds: float = 0.05
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311  # the same each time
    accepted: list[float] = field(default_factory=list)
    limited: list[float] = field(default_factory=list)
    runs: Counter[int] = field(default_factory=Counter)
    """Accepted submissions of each run after the first minute."""

    def __post_init__(self) -> None:
        self._bucket = TokenBucket.full(self.per_second, max(1.0, self.per_second), self.clock.now())

    async def takes(self, run: int) -> bool:
        await self.clock.sleep(self.chance.uniform(0.2, 0.8) * self.seconds)
        now = self.clock.now()
        taken = self._bucket.delay(now) == 0
        if taken:
            self._bucket = self._bucket.take(now)
        (self.accepted if taken else self.limited).append(now)
        self.runs[run] += taken and now >= 60
        await self.clock.sleep(self.seconds / 2)
        return taken

    def limit(self, per_second: float) -> None:
        """Takes so many from now on."""
        self.per_second = per_second
        self._bucket = self._bucket.at_rate(per_second, max(1.0, per_second), self.clock.now())

    async def submit_until(self, end: float, pacer: Pacer, *, submitters: int = 100, run: int = 0) -> None:
        """Submit as fast as the pacer allows, a 429 with `Retry-After: 1` pausing it."""
        await asyncio.gather(*(self._submit(end, pacer, run) for _ in range(submitters)))

    async def _submit(self, end: float, pacer: Pacer, run: int) -> None:
        while self.clock.now() < end:
            admitted_at = await pacer.admit()
            if await self.takes(run):
                pacer.accepted(admitted_at=admitted_at)
            else:
                pacer.pause(1.0, admitted_at=admitted_at)

    def limited_part(self, start: float) -> float:
        """429s as a part of all submissions within ten minutes from a moment."""
        accepted, limited = (
            sum(start <= when < start + 600 for when in each) for each in (self.accepted, self.limited)
        )
        return limited / (accepted + limited)

    def share(self, start: float, end: float) -> float:
        """Accepted submissions between two moments, as a part of what the limit allows."""
        return sum(start <= when < end for when in self.accepted) / (self.per_second * (end - start))


async def _admit_times(clock: VirtualClock, pacer: Pacer, count: int, images: int = 1) -> list[float]:
    return [await pacer.admit(images) for _ in range(count)]


@pytest.mark.parametrize("per_second", [2.0, 5.0, 20.0])
def test_a_known_limit_is_used_fully_and_not_passed(per_second: float) -> None:
    """With the limit given, at least 98 % of it is used and at most 0.5 % of the submissions meet a 429."""
    clock = VirtualClock()
    server = LimitedServer(clock, per_second)
    pacer = Pacer(submits_per_minute=per_second * 60, clock=clock)
    clock.run(server.submit_until(120.0, pacer))
    assert server.share(0, 120) >= 0.98
    assert len(server.limited) <= 0.005 * len(server.accepted)


@pytest.mark.parametrize("per_second", [2.0, 3.0, 5.0, 20.0])
def test_an_unknown_limit_is_found(per_second: float) -> None:
    """Without a limit given, at least 90 % of it is used from the second minute on, with at most 2 % of 429s."""
    clock = VirtualClock()
    server = LimitedServer(clock, per_second)
    clock.run(server.submit_until(600.0, Pacer(clock=clock)))
    assert server.share(60, 120) >= 0.9
    assert server.share(120, 600) >= 0.9
    assert server.limited_part(0) <= 0.02


@pytest.mark.parametrize("factor", [1.5, 0.5, 0.1])
@pytest.mark.parametrize("per_second", [2.0, 5.0, 20.0])
def test_a_limit_that_changes_is_found_again(per_second: float, factor: float) -> None:
    """Likewise after a change to `per_second`: up by half, or down by any factor."""
    clock = VirtualClock()
    server = LimitedServer(clock, per_second / factor)

    async def changed() -> None:
        await clock.sleep(160.0)
        server.limit(per_second)

    async def both() -> None:
        await asyncio.gather(server.submit_until(760.0, Pacer(clock=clock)), changed())

    clock.run(both())
    assert server.share(220, 280) >= 0.9
    assert server.limited_part(160) <= 0.02


@pytest.mark.parametrize("per_second", [4.0, 8.0, 20.0])
def test_runs_on_one_key_share_its_limit(per_second: float) -> None:
    """Rule: four runs use 90 % of it, none has less than half its share, at most 4 % meet a 429; without a word."""
    clock = VirtualClock()
    server = LimitedServer(clock, per_second)

    async def one(run: int) -> None:
        await clock.sleep(run)
        await server.submit_until(600.0, Pacer(clock=clock), submitters=30, run=run)

    async def all_four() -> None:
        await asyncio.gather(*(one(run) for run in range(4)))

    clock.run(all_four())
    assert server.share(60, 600) >= 0.9
    assert min(server.runs.values()) * 4 / server.runs.total() >= 0.5
    assert server.limited_part(0) <= 0.04


def test_a_server_without_a_limit_is_not_slowed() -> None:
    """Two seconds after a start more than 500 submissions a second leave."""
    clock = VirtualClock()
    server = LimitedServer(clock, per_second=1e6)
    clock.run(server.submit_until(3.0, Pacer(clock=clock), submitters=200))
    assert sum(2 <= when < 3 for when in server.accepted) > 500


def test_images_have_a_limit_of_their_own() -> None:
    """At 60 images a minute, requests for 4 images leave every 4 seconds."""
    clock = VirtualClock()
    pacer = Pacer(images_per_minute=60, clock=clock)
    times = clock.run(_admit_times(clock, pacer, 4, images=4))
    assert times == pytest.approx([0, 4, 8, 12])


def test_a_retry_after_pauses_everybody() -> None:
    """One row's 429 is every row's: nobody leaves before the server's hint is over."""
    clock = VirtualClock()
    pacer = Pacer(submits_per_minute=6000, clock=clock)
    pacer.pause(7.0)
    assert min(clock.run(_admit_times(clock, pacer, 3))) >= 7.0


def test_a_pause_reaches_who_already_waits() -> None:
    """A submission that waits for its turn waits for a pause, too, that begins meanwhile."""
    clock = VirtualClock()
    pacer = Pacer(submits_per_minute=60, clock=clock)

    async def pause_while_waiting() -> float:
        await pacer.admit()
        waiting = asyncio.create_task(pacer.admit())
        await clock.sleep(0.5)
        pacer.pause(20.0)
        return await waiting

    assert clock.run(pause_while_waiting()) >= 20.5


def test_without_a_hint_the_backoff_doubles_and_one_burst_counts_once() -> None:
    """Three 429s of one burst are one failure; the next burst waits twice as long."""
    clock = VirtualClock()
    pacer = Pacer(submits_per_minute=6000, clock=clock, chance=lambda: 1.0)

    async def bursts() -> list[float]:
        waits = []
        for _ in range(3):
            admitted_at = await pacer.admit()
            for _ in range(3):
                pacer.pause(None, admitted_at=admitted_at)
            waits.append(await pacer.admit() - admitted_at)
        return waits

    assert clock.run(bursts()) == pytest.approx([1, 2, 4], abs=0.05)


def test_an_acceptance_starts_the_backoff_anew() -> None:
    """After a submission was accepted the next failure waits as shortly as the first."""
    clock = VirtualClock()
    pacer = Pacer(submits_per_minute=6000, clock=clock, chance=lambda: 1.0)

    async def fail_succeed_fail() -> float:
        for _ in range(3):
            pacer.pause(None, admitted_at=await pacer.admit())
        pacer.accepted(admitted_at=await pacer.admit())
        admitted_at = await pacer.admit()
        pacer.pause(None, admitted_at=admitted_at)
        return await pacer.admit() - admitted_at

    assert clock.run(fail_succeed_fail()) == pytest.approx(1, abs=0.05)


def test_a_wrong_hint_does_not_stop_a_run_for_hours() -> None:
    """A Retry-After of a day is honoured for five minutes."""
    clock = VirtualClock()
    pacer = Pacer(submits_per_minute=60, clock=clock)
    pacer.pause(86_400.0)
    assert clock.run(pacer.admit()) == pytest.approx(300)


def test_a_cancelled_waiter_does_not_hold_up_the_next() -> None:
    """A row whose run is cancelled while it waits for its turn takes nobody's turn."""
    clock = VirtualClock()
    pacer = Pacer(submits_per_minute=60, clock=clock)

    async def cancel_the_second() -> float:
        await pacer.admit()
        second, third = asyncio.create_task(pacer.admit()), asyncio.create_task(pacer.admit())
        await clock.sleep(0.5)
        second.cancel()
        return await third

    assert clock.run(cancel_the_second()) == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan")])
def test_a_rate_that_is_none_is_refused(wrong: float) -> None:
    """Zero is no limit and no rate: the message names the setting."""
    with pytest.raises(ConfigurationError, match="submits_per_minute"):
        Pacer(submits_per_minute=wrong)


def test_no_more_jobs_are_in_flight_than_allowed() -> None:
    """With a limit of 3, ten jobs of a second each take four seconds and never more than three run, in order."""
    clock = VirtualClock()
    busy, order = [], []

    async def job(in_flight: InFlight, number: int) -> None:
        async with in_flight:
            order.append(number)
            busy.append(in_flight.busy)
            await clock.sleep(1.0)

    async def ten_jobs() -> None:
        in_flight = InFlight(3)
        await asyncio.gather(*(job(in_flight, number) for number in range(10)))
        assert in_flight.busy == 0

    clock.run(ten_jobs())
    assert (max(busy), order, clock.now()) == (3, list(range(10)), 4.0)


def test_a_limit_of_no_jobs_is_refused() -> None:
    """Nothing would ever start."""
    with pytest.raises(ConfigurationError, match="jobs_in_flight"):
        InFlight(0)


def test_who_waits_for_a_slow_rate_leaves_when_submitting_stops() -> None:
    """Rule: after the deadline nobody goes on waiting for a turn that would come to nothing."""
    clock = VirtualClock()
    pacer = Pacer(submits_per_minute=1, clock=clock)

    async def waits() -> list[float | None]:
        await pacer.admit()
        return await asyncio.gather(*(pacer.admit_unless(lambda: clock.now() >= start + 5) for _ in range(100)))

    start = clock.now()
    assert set(clock.run(waits())) == {None}
    assert clock.now() - start <= 6
