"""When a job is worth looking at: what is learned from ended jobs, and the steps between looks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.latencies import LOW_QUANTILE, WINDOW_JOBS, Latencies, Latency, Schedule

ages = st.floats(0, 100_000)
known = st.none() | st.builds(lambda low, more: Latency(low, low + more), st.floats(0, 1000), st.floats(0, 1000))


@given(age=ages, latency=known)
def test_every_wait_is_bounded(age: float, latency: Latency | None) -> None:
    """Before the first look a job is left alone; from then on it is seen at least every ten seconds."""
    schedule = Schedule()
    wait = schedule.seconds_to_look(age, latency)
    assert wait > 0
    if latency is not None and age < latency.low:
        assert age + wait >= latency.low
    else:
        assert wait <= schedule.most_step_seconds


@given(latency=known, seconds=st.floats(0.1, 900))
def test_a_job_costs_few_looks(latency: Latency | None, seconds: float) -> None:
    """Looks are so spread that even a job nothing is known about costs fewer than a look a second plus 40."""
    age, looks = 0.0, 0
    while age < seconds:
        age += Schedule().seconds_to_look(age, latency)
        looks += 1
    assert looks <= 40 + seconds


def test_nothing_is_known_before_a_job_ended() -> None:
    """A group without an ended job has no latency, also while others have."""
    latencies = Latencies()
    latencies.ended("m/low", seen_running=9.0, seen_ended=11.0)
    assert latencies.of("m/low") == Latency(low=10.0, median=10.0)
    assert latencies.of("m/high") is None


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=220))
def test_only_the_recent_jobs_count(seconds: list[float]) -> None:
    """Low quantile and median are those of the last hundred jobs."""
    latencies = Latencies()
    for taken in seconds:
        latencies.ended("g", seen_running=taken, seen_ended=taken)
    recent = sorted(seconds[-WINDOW_JOBS:])
    assert latencies.of("g") == Latency(recent[int(LOW_QUANTILE * len(recent))], recent[len(recent) // 2])


def test_faster_jobs_draw_the_first_look_forward() -> None:
    """Jobs that always ended before their first look say only "earlier": the first look creeps to where they are."""
    latencies = Latencies()
    for _ in range(WINDOW_JOBS):
        latencies.ended("g", seen_running=19.0, seen_ended=20.0)
    for _ in range(WINDOW_JOBS):
        latency = latencies.of("g")
        assert latency is not None
        first_look = max(latency.low, 2.0)
        latencies.ended("g", seen_running=None if first_look > 2 else 1.9, seen_ended=first_look)
    learned = latencies.of("g")
    assert learned is not None
    assert learned.low < 3


def test_an_outage_teaches_nothing() -> None:
    """A job last seen running at 10 s and next seen, ended, at 300 s tells too little."""
    latencies = Latencies()
    latencies.ended("g", seen_running=10.0, seen_ended=300.0)
    assert latencies.of("g") is None
