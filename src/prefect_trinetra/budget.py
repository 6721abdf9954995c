"""A budget: so many credits a calendar period, over all runs of a dataset. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field

from prefect_trinetra.errors import ConfigurationError

__all__ = ["Budget", "Period"]

Period = Literal["day", "week", "month"]
WRITTEN: Final = re.compile(rf"\s*([0-9][0-9_]*\.?[0-9]*)\s*(?:/|per)\s*({'|'.join(get_args(Period))})\s*")


class Budget(BaseModel):
    """What all runs of a dataset may spend together in each calendar period, in credits.

    Periods are those of UTC: a day begins at midnight, a week on Monday, a month on its first day.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    credits: float = Field(
        ge=0, allow_inf_nan=False, title="Credits", description="Credits that all runs together may spend in a period."
    )
    per: Period = Field(title="Per", description="The calendar period, in UTC: day, week (from Monday) or month.")

    @classmethod
    def parse(cls, written: str) -> Self:
        """The budget in `500/day`. Raises ConfigurationError that says how to write one."""
        found = WRITTEN.fullmatch(written.lower())
        if found is None:
            raise ConfigurationError(f"--budget {written}: write it as --budget 500/day, /week or /month")
        return cls.model_validate({"credits": found[1].replace("_", ""), "per": found[2]})

    def period(self, now: datetime) -> tuple[datetime, datetime]:
        """When the period around `now` began and when it ends, in UTC."""
        today = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
        match self.per:
            case "day":
                return today, today + timedelta(days=1)
            case "week":
                monday = today - timedelta(days=today.weekday())
                return monday, monday + timedelta(days=7)
            case "month":
                first = today.replace(day=1)
                return first, (first + timedelta(days=31)).replace(day=1)
