"""How long a job takes and what it shows meanwhile: pure laws of time, chance and fate."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.faults import FaultDice, Faults, chance
from prefect_trinetra.sandbox.jobs import Ending, Fate, Job, duration_seconds
from prefect_trinetra.sandbox.order import MODEL, read_order
from prefect_trinetra.sandbox.pace import TokenBucket

ORDER = read_order(MODEL, orjson.dumps({"prompt": "a cat"}), SandboxConfig())
WELL = Fate(Ending.SUCCEEDED, outputs=1, credits=7)


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, "queued"), (1, "queued"), (4, "processing"), (9.9, "processing"), (10, "succeeded")]
)
def test_a_job_is_queued_then_processing_then_ended(seconds: float, status: str) -> None:
    """A quarter of its time in the queue."""
    job = Job("job_1", ORDER, 0, WELL, accepted_at=100, ends_at=110)
    assert job.status(100 + seconds) == status


def test_a_stuck_job_processes_for_ever() -> None:
    """It leaves the queue and never ends."""
    job = Job("job_1", ORDER, 0, replace(WELL, stuck=True), accepted_at=0, ends_at=math.inf)
    assert job.status(1e9) == "processing"
    assert (job.final_images, job.final_credits) == (0, 0)


def test_times_are_lognormal_around_the_median() -> None:
    """Half of the jobs take longer than job_seconds, none takes no time."""
    config = SandboxConfig(job_seconds=4, job_sigma=0.3)
    times = [duration_seconds(config, str(number), WELL) for number in range(2000)]
    assert median(times) == pytest.approx(4, rel=0.05)
    assert median(map(math.log, times)) == pytest.approx(math.log(4), abs=0.05)
    assert min(times) > 0


def test_a_slow_job_takes_ten_times_as_long() -> None:
    """As the same job would have taken."""
    config, slow = SandboxConfig(), replace(WELL, slow=True)
    assert duration_seconds(config, "a", slow) == pytest.approx(10 * duration_seconds(config, "a", WELL))


def test_instant_jobs_are_instant_but_a_stuck_one_is_stuck() -> None:
    """job_seconds 0 leaves nothing to chance."""
    config = SandboxConfig(job_seconds=0)
    assert duration_seconds(config, "a", WELL) == 0
    assert duration_seconds(config, "a", replace(WELL, stuck=True)) == math.inf


@given(st.lists(st.text()))
def test_chance_is_a_share_below_one(parts: list[str]) -> None:
    """And the same for the same parts."""
    assert 0 <= chance(*parts) < 1
    assert chance(*parts) == chance(*parts)


@given(st.floats(0, 1), st.text(), st.text())
def test_a_sticking_fault_is_decided_once(rate: float, subject: str, other: str) -> None:
    """However often it is asked for, and whatever was asked in between."""
    dice = FaultDice(3, Faults(flat=rate))
    first = dice.sticks("flat", subject)
    dice.sticks("flat", other)
    assert dice.sticks("flat", subject) == first


@given(st.text())
def test_never_and_always_leave_nothing_to_chance(subject: str) -> None:
    """Rate 0 never strikes, rate 1 at every try."""
    dice = FaultDice(0, Faults(html=1))
    assert [dice.strikes("html", subject) for _ in range(3)] == [True] * 3
    assert not dice.strikes("truncated", subject)


def test_a_token_bucket_holds_one_second() -> None:
    """Then it admits as time goes by, and says how long the next one has to wait."""
    now = [0.0]
    bucket = TokenBucket(4, lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 0]
    assert bucket.take() == pytest.approx(0.25)
    now[0] = 0.25
    assert bucket.take() == 0
    assert TokenBucket(None, lambda: 0.0).take() == 0


def test_a_token_bucket_can_get_another_limit() -> None:
    """What was saved up stays, as far as a second's worth of the new limit holds it; it can be lifted and set again."""
    now = [0.0]
    bucket = TokenBucket(4, lambda: now[0])
    bucket.limit(2)
    assert [bucket.take() for _ in range(3)] == [0, 0, pytest.approx(0.5)]
    bucket.limit(None)
    assert bucket.take() == 0
    bucket.limit(10)
    now[0] = 0.1
    assert [bucket.take(), bucket.take()] == [0, pytest.approx(0.1)]
