"""Numbers, spans of time and places as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

__all__ = ["ago", "clock", "counted", "credits_text", "moment", "shown_place"]

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 row`, `1,632 rows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def credits_text(amount: float) -> str:
    """`1,960` or `12.5`: credits without a decimal point where there is none to say."""
    return f"{amount:,.2f}".rstrip("0").rstrip(".")


def clock(seconds: float) -> str:
    """`0:38`, `12:05`, `1:02:10`."""
    whole = max(0, round(seconds))
    hours, minutes, left = whole // HOUR, whole % HOUR // MINUTE, whole % MINUTE
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def ago(seconds: float) -> str:
    """`12 s ago`, `5 min ago`, `3 h ago`, `2 days ago`."""
    if seconds < MINUTE:
        return f"{max(0, seconds):.0f} s ago"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min ago"
    if seconds < 2 * DAY:
        return f"{seconds / HOUR:.0f} h ago"
    return f"{seconds / DAY:.0f} days ago"


def moment(epoch_seconds: float) -> str:
    """A time on the user's own clock, to the minute."""
    return datetime.fromtimestamp(epoch_seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def shown_place(url: str, path: str = "") -> str:
    """A file or folder of a dataset as one address."""
    return f"{url.rstrip('/')}/{path}" if path else url
