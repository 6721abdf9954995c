"""What a budget leaves in the current period, by the ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from prefect_trinetra.budget import Budget
from prefect_trinetra.ledger import Attempt

__all__ = ["Allowance", "allowance"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a budget leaves in the current period: credits, and times in ISO 8601 (UTC)."""

    credits: float
    per: str
    spent: float
    left: float
    begins_at: str
    ends_at: str


def allowance(budget: Budget, ledger: Iterable[Attempt], now: datetime, *, but_of: str = "") -> Allowance:
    """What `budget` leaves after the POSTs begun in the period around `now`, those of the run `but_of` left out.

    What is open or unknown counts at its bound. A POST that another machine's clock puts after the period counts too.
    """
    begins, ends = budget.period(now)
    spent = sum(each.spent for each in ledger if each.begun_at >= begins.timestamp() and each.run_id != but_of)
    return Allowance(
        credits=budget.credits,
        per=budget.per,
        spent=spent,
        left=max(0.0, budget.credits - spent),
        begins_at=begins.isoformat(),
        ends_at=ends.isoformat(),
    )
