"""The server's own word on when to come again."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["parse_retry_after"]


def parse_retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds to wait, from a Retry-After in seconds or as an HTTP date (measured against the answer's own Date)."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value, date)
    return max(0.0, seconds) if seconds < float("inf") else None


def _seconds_until(value: str, date: str | None) -> float | None:
    then = _http_date(value)
    if then is None:
        return None
    now = (_http_date(date) if date else None) or datetime.now(UTC)
    return max(0.0, (then - now).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
