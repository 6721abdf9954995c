"""How fast to submit: laws of the token bucket, the backoff and the rate that finds its limit."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.rates import (
    LEAST_SEARCHED_PER_SECOND,
    SOON_IN_A_ROW,
    START_PER_SECOND,
    AdaptiveRate,
    Backoff,
    Phase,
    TokenBucket,
)

rates = st.floats(0.05, 1000)
bursts = st.floats(1, 1000)
pauses = st.lists(st.floats(0, 10), max_size=60)


@given(rate=rates, burst=bursts, idle=pauses, amount=st.integers(1, 4))
def test_no_window_sees_more_than_its_share(rate: float, burst: float, idle: list[float], amount: int) -> None:
    """Over any t seconds at most rate * t + burst tokens go out; one amount above the burst may be in debt."""
    bucket, now, taken = TokenBucket.full(rate, burst, 0.0), 0.0, []
    for seconds in idle:
        now += seconds
        now += bucket.delay(now, amount)
        bucket = bucket.take(now, amount)
        taken.append(now)
    allowed = max(burst, amount)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            count = (last - first + 1) * amount
            assert count <= rate * (taken[last] - taken[first]) + allowed + 1e-3


@given(rate=rates, burst=bursts, amount=st.floats(0.1, 2000))
def test_whoever_waits_the_delay_may_take(rate: float, burst: float, amount: float) -> None:
    """After the delay there is none left: no caller waits in ever smaller steps."""
    bucket = TokenBucket.full(rate, burst, 0.0).take(0.0, burst)
    now = bucket.delay(0.0, amount)
    assert bucket.delay(now, amount) == 0.0


def test_an_amount_above_the_burst_is_late_not_impossible() -> None:
    """At 5 images a minute a request for 4 images leaves at once, and the next waits for all 4."""
    bucket = TokenBucket.full(5 / 60, 1.0, 0.0)
    assert bucket.delay(0.0, 4) == 0.0
    assert round(bucket.take(0.0, 4).delay(0.0, 4)) == 48


def test_what_a_pause_withheld_is_not_saved_up() -> None:
    """After a pause one submission leaves at once and the others follow at the rate, without a burst."""
    bucket = TokenBucket.full(10.0, 10.0, 0.0).emptied(until=5.0)
    assert bucket.delay(5.0) == 0.0
    assert bucket.take(5.0).delay(5.0) == 0.1


@given(first=st.floats(0.1, 5), most=st.floats(5, 100), chance=st.floats(0, 1))
def test_a_backoff_doubles_up_to_its_maximum(first: float, most: float, chance: float) -> None:
    """Each failure doubles the wait, up to the maximum; a success starts it anew."""
    backoff, waits = Backoff(first, most), []
    for _ in range(40):
        waits.append(backoff.seconds(chance))
        backoff = backoff.failed()
    assert all(later == min(2 * earlier, later) for earlier, later in pairwise(waits))
    assert first / 2 <= waits[0] <= first
    assert most / 2 <= waits[-1] <= most
    assert backoff.succeeded().seconds(chance) == waits[0]


def _submitting(adaptive: AdaptiveRate, now: float, seconds: float) -> tuple[AdaptiveRate, float]:
    """The rate after it was fully used for a while, each submission accepted; and the time then."""
    end = now + seconds
    while now < end:
        now += 1 / adaptive.rate
        adaptive = adaptive.after_accepted(now, sent_at=now)
    return adaptive, now


def _probing(rate: float, stage: int = 9) -> AdaptiveRate:
    return AdaptiveRate(rate, Phase.PROBING, stage, accepted=100)


def test_the_start_doubles_while_it_is_used() -> None:
    """With acceptances at the present rate, every quarter second doubles it."""
    adaptive, _ = _submitting(AdaptiveRate.starting(0.0), 0.0, 0.5)
    assert 3.8 * START_PER_SECOND <= adaptive.rate <= 4.2 * START_PER_SECOND


def test_acceptances_in_batches_use_a_rate_as_well() -> None:
    """Rule: what comes all at once, five times a second, is as much as what comes one by one."""
    adaptive, now = AdaptiveRate.starting(0.0), 0.0
    while now < 1.0:
        now += 0.2
        for _ in range(round(0.2 * adaptive.rate)):
            adaptive = adaptive.after_accepted(now, sent_at=now)
    assert adaptive.rate >= 8 * START_PER_SECOND


@pytest.mark.parametrize("batches_per_second", [0.5, 2.0, 5.0])
def test_a_rate_used_by_less_than_half_does_not_grow(batches_per_second: float) -> None:
    """Whether they come in batches or not: a third of the rate tells nothing of the rest."""
    adaptive, now = _probing(30.0), 0.0
    for _ in range(100):
        now += 1 / batches_per_second
        for _ in range(round(10 / batches_per_second)):
            adaptive = adaptive.after_accepted(now, sent_at=now)
    assert adaptive.rate <= 1.01 * 30.0


def test_an_unused_rate_does_not_grow() -> None:
    """Who submits once a second learns nothing about what the server would take."""
    adaptive = AdaptiveRate.starting(0.0)
    for second in range(1, 60):
        adaptive = adaptive.after_accepted(float(second), sent_at=float(second) - 0.1)
    assert adaptive.rate == START_PER_SECOND


def test_a_burst_of_429s_cuts_once() -> None:
    """What was sent before the cut is part of what caused it."""
    once = AdaptiveRate.starting(0.0).after_limited(1.0, sent_at=0.9)
    assert once.rate < START_PER_SECOND
    assert once.after_limited(1.1, sent_at=0.95) == once


def test_the_first_429_says_how_many_were_taken() -> None:
    """From about there, and from no less than one in two seconds, the limit is searched."""
    few = AdaptiveRate.starting(0.0).after_limited(0.1, sent_at=0.1)
    assert (few.phase, few.rate) == (Phase.SEARCHING, LEAST_SEARCHED_PER_SECOND)
    many, now = _submitting(AdaptiveRate.starting(0.0), 0.0, 0.5)
    assert 15 <= many.after_limited(now, sent_at=now).rate <= 30


@pytest.mark.parametrize("rate", [0.5, 2.0, 5.0, 20.0, 200.0])
def test_a_settled_rate_is_back_after_its_interval(rate: float) -> None:
    """What a 429 takes comes again until the next one, so that these come as seldom as they shall."""
    settled = _probing(rate)
    cut = settled.after_limited(0.0, sent_at=0.0)
    assert 0.7 * rate <= cut.rate < rate
    back, _ = _submitting(cut, 0.0, cut.interval)
    assert back.rate == pytest.approx(rate, rel=0.05)


@pytest.mark.parametrize("rate", [1.0, 2.0, 20.0])
def test_a_limit_that_grew_by_half_is_found_within_seventy_seconds(rate: float) -> None:
    found, _ = _submitting(_probing(rate), 0.0, 70.0)
    assert found.rate >= 1.5 * rate


def test_one_429_too_soon_is_chance_and_the_next_a_lower_limit() -> None:
    """Rule: a settled rate forgives the account's other runs one, and is cut deeply by those in a row."""
    adaptive, rates = _probing(20.0).after_limited(0.0, sent_at=0.0), []
    for second in range(1, SOON_IN_A_ROW + 6):
        adaptive = adaptive.after_limited(float(second), sent_at=float(second))
        rates.append(adaptive.rate)
    assert rates[0] > 15
    assert rates[-1] < 2


@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 30)), max_size=200))
def test_the_rate_only_rises_without_429s(answers: list[tuple[bool, float]]) -> None:
    """An acceptance never lowers the rate nor more than doubles it; a 429 never raises it; it stays positive."""
    adaptive, now = AdaptiveRate.starting(0.0), 0.0
    for accepted, seconds in answers:
        now += seconds
        before = adaptive.rate
        adaptive = adaptive.after_accepted(now, sent_at=now) if accepted else adaptive.after_limited(now, sent_at=now)
        assert adaptive.rate > 0
        assert before <= adaptive.rate <= 2 * before if accepted else adaptive.rate <= before
