"""When a job is worth looking at: what is learned from looks, and the steps between them."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.latencies import (
    LEAST_AGE_SECONDS,
    LOW_QUANTILE,
    OBSERVATIONS_PER_ESTIMATE,
    Latencies,
    Latency,
    Schedule,
)

ages = st.floats(0, 100_000)
known = st.none() | st.builds(
    lambda low, more, tail: Latency(low, low + more, low + more + tail),
    st.floats(0, 1000),
    st.floats(0, 1000),
    st.floats(0, 1000),
)
patience = st.floats(0.1, 10)
looks = st.lists(st.tuples(st.floats(0, 3000), st.floats(0, 3000), st.booleans()), min_size=1, max_size=60)


@given(looked_at=ages, latency=known, chance=st.floats(0, 1), patience=patience)
def test_every_wait_is_bounded(looked_at: float, latency: Latency | None, chance: float, patience: float) -> None:
    """A first look comes at the low quantile or before; after it a job is seen at least every thirty seconds."""
    schedule = Schedule(patience=patience)
    age = schedule.next_look(looked_at, latency, chance)
    assert age > looked_at
    assert age >= LEAST_AGE_SECONDS
    soonest = latency.low if latency is not None else schedule.first_unknown_seconds
    assert age <= max(soonest, LEAST_AGE_SECONDS, looked_at + schedule.most_step_seconds + 1e-6)


@given(latency=known, seconds=st.floats(0.1, 900))
def test_a_job_costs_few_looks(latency: Latency | None, seconds: float) -> None:
    """Looks are so spread that even a job nothing is known about costs fewer than a look a second plus 40."""
    age, looks = 0.0, 0
    while age < seconds:
        age = Schedule().next_look(age, latency)
        looks += 1
    assert looks <= 40 + seconds * 10 ** (latency is not None and latency.median < 1.25)


@given(
    latency=st.builds(lambda low: Latency(low, 1.4 * low, 2 * low), st.floats(3, 300)), looked_at=st.floats(0.01, 500)
)
def test_patience_makes_steps_longer(latency: Latency, looked_at: float) -> None:
    """Nobody who is more patient looks sooner."""
    waits = [Schedule(patience=each).next_look(looked_at, latency) for each in (0.25, 0.5, 1, 2, 4)]
    assert waits == sorted(waits)


@given(chance=st.floats(0, 1))
def test_a_fifth_of_the_jobs_strays(chance: float) -> None:
    """These get a look somewhere before the first one, to tell when all jobs have become faster."""
    age = Schedule(strays=0.2).next_look(0, Latency(low=10.0, median=14.0, late=20.0), chance)
    assert (age < 10.0) == (chance < 0.2 - 1e-12)
    assert age == pytest.approx(min(10.0, max(LEAST_AGE_SECONDS, 50 * chance)))


def test_nothing_is_known_before_a_job_ended() -> None:
    """A group without an ended job has no latency, also while others have; running jobs alone don't make one."""
    latencies = Latencies()
    latencies.ended("m/low", since=9.0, until=11.0)
    latencies.running("m/high", since=0.0, until=30.0)
    assert latencies.of("m/low") is not None
    assert latencies.of("m/high") is None


@given(looks)
def test_the_quantiles_are_in_order(looks: list[tuple[float, float, bool]]) -> None:
    """Whatever is seen, and in whatever order: the low quantile is no later than the median, and both are times."""
    latencies = Latencies()
    for one, other, has_ended in looks:
        learn = latencies.ended if has_ended else latencies.running
        learn("g", since=min(one, other), until=max(one, other))
    latency = latencies.of("g")
    assert latency is None or 0 <= latency.low <= latency.median < 3000


def learned(seconds: list[float], step: float, latencies: Latencies | None = None) -> Latency:
    """What is known after jobs that took so long, each looked at in even steps."""
    latencies = latencies or Latencies()
    for taken in seconds:
        last = math.floor(taken / step) * step
        latencies.running("g", since=0.0, until=last)
        latencies.ended("g", since=last, until=last + step)
    latency = latencies.of("g")
    assert latency is not None
    return latency


@given(median=st.floats(1, 300), seed=st.integers(0, 99))
def test_the_quantiles_are_those_of_the_jobs(median: float, seed: int) -> None:
    """Within the blur of the last forty jobs and of the steps."""
    bends = statistics.NormalDist(0, 0.3).samples(200, seed=seed)
    latency = learned([median * math.exp(bend) for bend in bends], step=0.1 * median)
    assert latency.median == pytest.approx(median, rel=0.25)
    low = median * math.exp(0.3 * statistics.NormalDist().inv_cdf(LOW_QUANTILE))
    assert latency.low == pytest.approx(low, rel=0.25)


@pytest.mark.parametrize("later", [5.0, 60.0])
def test_fifty_jobs_teach_a_new_latency(later: float) -> None:
    """However many had taught the old one."""
    latencies = Latencies()
    learned([20.0] * 500, 1.0, latencies)
    assert learned([later] * 50, 1.0, latencies).median == pytest.approx(later, rel=0.2)


def test_jobs_that_go_on_running_put_the_first_look_off() -> None:
    """A change to slower jobs is noticed before the first of them has ended."""
    latencies = Latencies()
    before = learned([20.0] * 100, 1.0, latencies)
    for _ in range(12 * OBSERVATIONS_PER_ESTIMATE):
        latencies.running("g", since=0.0, until=40.0)
    after = latencies.of("g")
    assert after is not None
    assert after.low > 1.5 * before.low


def test_an_outage_teaches_nothing() -> None:
    """A job last seen running at 10 s and next seen, ended, at 300 s ended when such jobs do, for all we know."""
    latencies = Latencies()
    before = learned([20.0] * 100, 1.0, latencies)
    for _ in range(2 * OBSERVATIONS_PER_ESTIMATE):
        latencies.running("g", since=0.0, until=10.0)
        latencies.ended("g", since=10.0, until=300.0)
    after = latencies.of("g")
    assert after is not None
    assert after.median == pytest.approx(before.median, rel=0.1)
