"""How many looks at once the status endpoint bears."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.reach import LONGEST_PAUSE_SECONDS, OUTAGE_FAILURES, Reach

MOST = 32


def after(*answers: bool) -> Reach:
    reach = Reach.whole(MOST)
    for answered in answers:
        reach = reach.answered() if answered else reach.failed(alone=True)
    return reach


@given(st.lists(st.booleans(), max_size=100), st.floats(0, 1))
def test_there_is_always_room_for_a_look(answers: list[bool], chance: float) -> None:
    """At least one, at most all; and the pause after a failure is bounded."""
    reach = after(*answers)
    assert 1 <= reach.at_once <= MOST
    assert 0 <= reach.pause_seconds(chance) <= LONGEST_PAUSE_SECONDS


def test_single_failures_change_nothing() -> None:
    """They are about single jobs, and each of these waits by itself."""
    reach = after(*[False] * (OUTAGE_FAILURES - 1))
    assert not reach.is_out
    assert reach.at_once == MOST
    assert reach.pause_seconds(1.0) == 0


def test_many_failures_in_a_row_are_an_outage() -> None:
    """Then one look at a time finds out when it is over."""
    reach = after(*[False] * OUTAGE_FAILURES)
    assert reach.is_out
    assert reach.at_once == 1


def test_pauses_grow() -> None:
    """Up to ten seconds, so that the end of an outage is soon seen."""
    pauses = [after(*[False] * failures).pause_seconds(1.0) for failures in range(OUTAGE_FAILURES, 20)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_looks_that_fail_together_lengthen_the_pause_once() -> None:
    """A burst is one sign."""
    reach = Reach.whole(MOST)
    for left in reversed(range(MOST)):
        reach = reach.failed(alone=left == 0)
    assert reach.pause_seconds(1.0) < LONGEST_PAUSE_SECONDS / 2


def test_an_answer_ends_the_outage_step_by_step() -> None:
    """Each answer allows one look more: those that waited do not come all at once."""
    out = [False] * OUTAGE_FAILURES
    assert [after(*out, *[True] * answers).at_once for answers in (1, 2, 3, 100)] == [2, 3, 4, MOST]
    assert not after(*out, *[True]).is_out
