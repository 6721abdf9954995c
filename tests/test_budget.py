"""A budget: calendar periods in UTC, and what the runs of a dataset leave of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import attempt
from prefect_trinetra.allowance import allowance
from prefect_trinetra.budget import Budget, Period
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.ledger import AttemptState

PERIODS = st.sampled_from(["day", "week", "month"])
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@given(per=PERIODS, now=MOMENTS)
def test_a_period_holds_the_moment_and_ends_where_the_next_begins(per: Period, now: datetime) -> None:
    """Law: periods follow each other without a gap."""
    budget = Budget(credits=1, per=per)
    begins, ends = budget.period(now)
    assert begins <= now < ends
    assert budget.period(ends)[0] == ends
    assert budget.period(ends - timedelta(microseconds=1)) == (begins, ends)


@pytest.mark.parametrize(
    ("per", "begins", "ends"),
    [("day", "2026-11-25", "2026-11-26"), ("week", "2026-11-23", "2026-11-30"), ("month", "2026-11-01", "2026-12-01")],
)
def test_periods_are_those_of_the_calendar(per: Period, begins: str, ends: str) -> None:
    """A day from midnight, a week from Monday, a month from its first day."""
    found = Budget(credits=1, per=per).period(NOON)
    assert [moment.isoformat() for moment in found] == [f"{begins}T00:00:00+00:00", f"{ends}T00:00:00+00:00"]


def test_a_local_time_counts_in_its_utc_period() -> None:
    """01:00 in Delhi is still yesterday in UTC."""
    delhi = datetime(2026, 11, 25, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert Budget(credits=1, per="day").period(delhi)[0] == datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "credits_", "per"),
    [("500/day", 500, "day"), ("2_000 / week", 2_000, "week"), ("12.5 per month", 12.5, "month"), ("0/DAY", 0, "day")],
)
def test_a_budget_is_written_as_credits_a_period(written: str, credits_: float, per: Period) -> None:
    assert Budget.parse(written) == Budget(credits=credits_, per=per)


@pytest.mark.parametrize("written", ["500", "day", "-5/day", "5/year", "5/day/week", "nan/day", ""])
def test_what_is_no_budget_is_said_so(written: str) -> None:
    with pytest.raises(ConfigurationError, match="500/day"):
        Budget.parse(written)


def test_only_the_period_counts_and_the_unknown_at_its_bound() -> None:
    """Rule: charged where that is known, else the bound; yesterday's orders and this run's own are left out."""
    now, yesterday = NOON.timestamp(), (NOON - timedelta(days=1)).timestamp()
    ledger = [
        attempt(begun_at=now, bound=14.0, credits_charged=3.0),
        attempt(AttemptState.UNKNOWN, begun_at=now, bound=7.0),
        attempt(begun_at=now, bound=14.0),
        attempt(AttemptState.REFUSED, begun_at=now, bound=50.0),
        attempt(begun_at=yesterday, credits_charged=100.0),
        attempt(begun_at=now, run_id="mine", credits_charged=20.0),
    ]
    found = allowance(Budget(credits=30, per="day"), ledger, NOON, but_of="mine")
    assert (found.spent, found.left, found.ends_at) == (24.0, 6.0, "2026-11-26T00:00:00+00:00")


def test_a_budget_that_is_overdrawn_leaves_nothing() -> None:
    """It never reads as less than nothing."""
    ledger = [attempt(begun_at=NOON.timestamp(), credits_charged=20.0)]
    assert allowance(Budget(credits=10, per="week"), ledger, NOON).left == 0.0
