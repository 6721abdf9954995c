"""Names that hold the day of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.dated_names import dated
from prefect_trinetra.errors import ConfigurationError

# In Berlin it is the next day already.
START = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cats/{scheduled}", "cats/2026-03-28"),
        ("s3://b/{scheduled:%Y/%m}/{scheduled:%d}.csv", "s3://b/2026/03/28.csv"),
        ("{scheduled-1d}", "2026-03-27"),
        ("{scheduled+2w:%Y-%m-%d}", "2026-04-11"),
        ("{scheduled-24h:%H%M}", "2330"),
        ("{scheduled@Europe/Berlin}", "2026-03-29"),
        # clocks went forward in that night: a day later is the same time of day
        ("{scheduled+1d@Europe/Berlin:%Y-%m-%dT%H}", "2026-03-30T00"),
        ("{scheduled:%Y%m%d}00", "2026032800"),
        ("{other} {scheduledly", None),
        ("{scheduled-1y}", None),
        ("{scheduled@Mars/Base}", None),
        ("{scheduled: }", None),
        ("{scheduled-99999w}", None),
        ("{scheduled:%Y", None),
    ],
)
def test_a_name_is_filled_in_or_refused(name: str, told: str | None) -> None:
    """Rule: what is asked for is there, and what can't be read is refused with a word on how to write it."""
    if told is not None:
        assert dated(name, lambda: START) == told
        return
    with pytest.raises(ConfigurationError, match=r"\{scheduled-1d:%Y-%m-%d\}"):
        dated(name, lambda: START)


@given(st.text())
def test_other_names_stay(name: str) -> None:
    """Rule: nothing is asked and nothing changed where no date is wanted, braces or not."""

    def nobody() -> datetime:
        raise AssertionError("asked for a date that is not wanted")

    name = name.replace("{scheduled", "")
    assert dated(name, nobody) == name


@given(st.integers(-12 * 60, 14 * 60))
def test_whatever_zone_the_start_is_told_in(minutes: int) -> None:
    """Rule: the same moment makes the same name."""
    elsewhere = START.astimezone(timezone(timedelta(minutes=minutes)))
    assert dated("{scheduled:%c}", lambda: elsewhere) == dated("{scheduled:%c}", lambda: START)
