"""What is due when."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.agenda import Agenda


@dataclass(eq=False)
class Thing:
    name: int
    due: float | None = None


moves = st.lists(st.tuples(st.integers(0, 9), st.none() | st.floats(0, 100)), max_size=60)


@given(moves)
def test_everything_is_taken_once_at_the_time_it_was_put_last(moves: list[tuple[int, float | None]]) -> None:
    """However often things were moved, or dropped by unsetting their date."""
    agenda: Agenda[Thing] = Agenda()
    things = [Thing(name) for name in range(10)]
    for name, due in moves:
        if due is None:
            things[name].due = None
        else:
            agenda.put(things[name], due)
    wanted = sorted(thing.due for thing in things if thing.due is not None)
    taken = []
    while (due := agenda.next_due) is not None:
        thing = agenda.take(due)
        assert thing is not None
        assert thing.due is None
        taken.append(due)
    assert taken == wanted
    assert agenda.take(1000.0) is None


def test_nothing_is_taken_early() -> None:
    """What is due later stays."""
    agenda: Agenda[Thing] = Agenda()
    agenda.put(Thing(1), 5.0)
    assert agenda.take(4.9) is None
    assert agenda.next_due == 5.0


def test_what_is_put_twice_at_one_time_is_taken_once() -> None:
    """Its first entry is as good as the second, and only one is left of them."""
    agenda: Agenda[Thing] = Agenda()
    thing = Thing(1)
    agenda.put(thing, 5.0)
    agenda.put(thing, 5.0)
    assert agenda.take(5.0) is thing
    assert agenda.take(5.0) is None
