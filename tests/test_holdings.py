"""What a waiting run may conclude from a lease file. No clock but its own counts."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.holdings import DEAD_SECONDS, Holding, HoldState, LeaseTimes, Sighting, Verdict

TIMES = LeaseTimes()
HELD = Holding("run", "token", "host", 1, "2026-01-01T00:00:00+00:00", DEAD_SECONDS)


@given(st.floats(1e-3, 1e6))
def test_a_successor_waits_longer_than_a_look_is_good_for(dead: float) -> None:
    """Law: this order of the times is what keeps two holders apart, whatever the scale."""
    times = LeaseTimes(dead)
    assert 0 < times.beat < times.fresh < times.settle < times.dead


def test_an_empty_scope_is_vacant() -> None:
    assert Sighting().verdict(now=0.0, own=TIMES) is Verdict.VACANT


@given(st.lists(st.floats(0, TIMES.dead - 1e-6), min_size=1, max_size=20))
def test_a_holder_that_gives_signs_of_life_is_left_alone(pauses: list[float]) -> None:
    """Law: as long as no pause is as long as a death, it is never taken for dead."""
    now, holding = 0.0, HELD
    sighting = Sighting().then(1, holding.to_json(), now)
    for pause in pauses:
        now += pause
        assert sighting.verdict(now, TIMES) is Verdict.HELD
        holding = holding.after_beat()
        sighting = sighting.then(1, holding.to_json(), now)


@given(st.floats(0, 1e6), st.lists(st.floats(0, 100), max_size=10))
def test_a_silent_holder_is_dead_after_the_time_and_not_before(first: float, looks: list[float]) -> None:
    """Law: looks in between change nothing; the silence counts from the first sight of what has not changed since."""
    sighting = Sighting().then(3, HELD.to_json(), first)
    for look in sorted(looks):
        sighting = sighting.then(3, HELD.to_json(), first + look)
        expected = Verdict.DESERTED if (first + look) - first >= TIMES.dead else Verdict.HELD
        assert sighting.verdict(first + look, TIMES) is expected


@given(st.floats(0.01, 1000), st.floats(0.01, 1000))
def test_the_longer_of_two_patiences_counts(own: float, theirs: float) -> None:
    """Law: a run with short times never takes over from one with long ones too soon."""
    holding = replace(HELD, dead_seconds=theirs)
    sighting = Sighting().then(1, holding.to_json(), 0.0)
    longer = max(own, theirs)
    assert sighting.times(LeaseTimes(own)).dead == longer
    assert sighting.verdict(longer * 0.99, LeaseTimes(own)) is Verdict.HELD
    assert sighting.verdict(longer, LeaseTimes(own)) is Verdict.DESERTED


def test_who_released_is_followed_at_once_and_who_left_after_a_wait() -> None:
    released, left = HELD.ended(HoldState.RELEASED), HELD.ended(HoldState.LEFT)
    assert Sighting().then(1, released.to_json(), 0.0).verdict(0.0, TIMES) is Verdict.VACANT
    assert Sighting().then(1, left.to_json(), 0.0).verdict(0.0, TIMES) is Verdict.DESERTED


@given(st.binary(min_size=1, max_size=200))
def test_a_file_that_is_none_is_somebodys_until_it_stays_unchanged(content: bytes) -> None:
    """Law: half a file may be one in the making; nothing that it holds raises."""
    sighting = Sighting().then(1, content, 0.0)
    assert sighting.verdict(TIMES.dead - 1, TIMES) is Verdict.HELD
    assert sighting.verdict(TIMES.dead, TIMES) is Verdict.DESERTED


def test_a_file_reads_back_as_it_was_written_and_later_fields_are_left_out() -> None:
    assert Holding.from_json(HELD.after_beat().to_json()) == HELD.after_beat()
    assert Holding.from_json(HELD.to_json()[:-1] + b',"more":1}') == HELD
