"""Names that hold the day of a run, such as `prompts/{scheduled:%Y-%m-%d}.csv`. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from prefect_trinetra.errors import ConfigurationError

__all__ = ["DEFAULT_FORMAT", "dated", "is_dated"]

DEFAULT_FORMAT: Final = "%Y-%m-%d"
MARK: Final = "{scheduled"
PLACEHOLDER: Final = re.compile(
    r"\{scheduled(?:(?P<shift>[+-]\d{1,4})(?P<unit>[hdw]))?(?:@(?P<zone>[A-Za-z0-9_+/-]+))?(?::(?P<format>[^{}]*))?\}"
)
UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
HOW: Final = (
    "write it as {scheduled:%Y-%m-%d}, with a shift as {scheduled-1d:%Y-%m-%d} (h, d or w), "
    "with a time zone as {scheduled@Europe/Berlin:%Y-%m-%d}"
)


def is_dated(name: str) -> bool:
    """Whether `name` asks for a run's scheduled start."""
    return MARK in name


def dated(name: str, scheduled: Callable[[], datetime]) -> str:
    """`name` with each `{scheduled...}` replaced; `scheduled` is asked only where there is one, and must know its zone.

    `{scheduled}` is the day, in UTC; `{scheduled:FORMAT}` what strftime makes of it; `{scheduled-1d}` the day before
    (also +, and h or w for hours or weeks); `{scheduled@ZONE}` the time of an IANA time zone.
    Raises ConfigurationError.
    """
    if not is_dated(name):
        return name
    start = scheduled().astimezone(UTC)
    filled = PLACEHOLDER.sub(lambda found: _told(found, start), name)
    if is_dated(filled):
        raise ConfigurationError(f"{name!r} holds a date that can't be read: {HOW}")
    return filled


def _told(found: re.Match[str], start: datetime) -> str:
    try:
        moment = start.astimezone(_zone(found["zone"]))
        if found["shift"]:
            # By the clock on the wall: a day before is the same hour of the day before, also where clocks were changed.
            moment += int(found["shift"]) * UNITS[found["unit"]]
        told = moment.strftime(found["format"] or DEFAULT_FORMAT)
    except (ValueError, OverflowError, ZoneInfoNotFoundError) as error:
        raise ConfigurationError(f"{found[0]}: {error}; {HOW}") from error
    if not told.strip() or not told.isprintable():
        raise ConfigurationError(f"{found[0]} leaves nothing to call a file: {HOW}")
    return told


def _zone(name: str | None) -> tzinfo:
    return UTC if name is None else ZoneInfo(name)
