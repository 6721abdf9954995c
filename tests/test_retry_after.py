"""Retry-After, in seconds or as a date."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.retry_after import parse_retry_after

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@given(st.integers(0, 10**9))
def test_seconds_are_seconds(seconds: int) -> None:
    """The usual form."""
    assert parse_retry_after(str(seconds)) == seconds


@given(st.integers(-(10**6), 10**6))
def test_a_date_counts_from_the_answers_own_date(seconds: int) -> None:
    """So that our clock does not matter; a date gone by means now."""
    then = format_datetime(NOON + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(then, format_datetime(NOON, usegmt=True)) == max(0, seconds)


def test_a_date_without_the_answers_own_counts_from_now() -> None:
    """Long ago is now."""
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "soon",
        "nan",
        "inf",
        "1e999",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
    ],
)
def test_what_names_no_time_is_no_hint(value: str | None) -> None:
    """Then our own backoff counts."""
    assert parse_retry_after(value) is None


@given(st.text(), st.none() | st.text())
def test_any_text_is_read_without_harm(value: str, date: str | None) -> None:
    """Either a wait of 0 s or more, or no hint."""
    seconds = parse_retry_after(value, date)
    assert seconds is None or 0 <= seconds < float("inf")
