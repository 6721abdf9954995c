"""What is to happen with each row, decided in the manifest's order, since a cap covers the first rows first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from prefect_trinetra.forms import RequestForm
from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import CREDIT_GRAIN, Attempt
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import Plan, PlanTerms, new_plan_id
from prefect_trinetra.plan_totals import PlanTotals
from prefect_trinetra.prices import price_bound
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.standing import Action, Standing, decide

__all__ = ["Decided", "Decider", "LeftBehind"]


class Decided(NamedTuple):
    """What is to happen with a row: the columns of PLAN_SCHEMA between its place and its request."""

    key: str | None
    action: Action
    outcome: Outcome | None = None
    reason: str | None = None
    first_row: int | None = None
    attempt: int | None = None
    bound: float | None = None
    job: str | None = None


class LeftBehind(NamedTuple):
    """A job that is still out and that no row asks for."""

    row: int
    sample: int
    decided: Decided
    request: ImageRequest


class Decider:
    """Decides about one row after the other, and counts. Every row is told once, samples included."""

    def __init__(self, known: KnownState, terms: PlanTerms) -> None:
        self.totals = PlanTotals()
        self._known = known
        self._terms = terms
        self._left = terms.cap.left
        self._over_cap: set[str] = set()
        self._attempts = known.unsettled
        # The same for every request that nobody has asked for yet, which is most of them in a first run.
        self._untried = decide((), (), terms.rules)
        self._settled = Standing(Action.KEEP, Outcome.SUCCEEDED)
        self._bounds: dict[RequestForm, float] = {}

    def invalid(self, number: int, source: str | None, error: str | None) -> Decided:
        """A row that asks for nothing that could be made."""
        self.totals.invalid(number, source, error)
        return Decided(None, Action.INVALID, Outcome.INVALID, error)

    def duplicate(self, number: int, key: str, first_row: int, *, is_settled: bool) -> Decided:
        """A row that asks for the same as an earlier one."""
        outcome = self._settled.outcome if is_settled else self._standing(key).outcome
        self.totals.duplicate(number, first_row, Outcome.OVER_BUDGET if key in self._over_cap else outcome)
        return Decided(key, Action.DUPLICATE, None, f"the same request as row {first_row}", first_row)

    def settled(self, key: str, form: RequestForm) -> Decided:
        """The first row that asks for a settled request."""
        self.totals.settled += 1
        return _decided(key, self._settled, self._bound(form))

    def unsettled(self, key: str, form: RequestForm) -> Decided:
        """The first row that asks for any other request."""
        standing, request, bound = self._standing(key), form.request, self._bound(form)
        outcome = standing.outcome
        if standing.action is Action.BUY:
            fits = bound <= self._left + CREDIT_GRAIN
            self.totals.priced(request, bound, fits=fits)
            if fits:
                self._left -= bound
            else:
                self._over_cap.add(key)
                outcome = Outcome.OVER_BUDGET
        elif standing.action is Action.COLLECT:
            self.totals.images += request.n
            self.totals.collect_at_most += standing.job.spent if standing.job else 0.0
        else:
            self.totals.keep(outcome, self._attempts.get(key, ()))
        self.totals.actions[standing.action] += 1
        self.totals.outcomes[outcome] += 1
        return _decided(key, standing, bound)

    def left_behind(self, is_asked_for: Callable[[str], bool]) -> Iterator[LeftBehind]:
        """Jobs still out whose rows the manifest has no more: paid for, so collected. Their numbers are below 0.

        In the order of their keys, so that a plan made again numbers them alike.
        """
        for key in sorted(key for key in self._attempts if not is_asked_for(key)):
            standing = self._standing(key)
            job = standing.job
            if job is None or job.request is None:
                continue
            self.totals.left_behind += 1
            self.totals.collect_at_most += job.spent
            request = ImageRequest(**orjson.loads(job.request))
            yield LeftBehind(-self.totals.left_behind, job.sample, _decided(key, standing, 0.0), request)

    def plan(self, fingerprint: str, reading: str) -> Plan:
        """The totals, once every row has gone by."""
        totals, terms = self.totals, self._terms
        now = datetime.now(UTC)
        return Plan(
            id=new_plan_id(now),
            run_id=terms.run_id,
            made_at=now.isoformat(timespec="seconds"),
            fingerprint=fingerprint,
            reading=reading,
            rows=totals.rows,
            to_buy=totals.actions[Action.BUY],
            to_collect=totals.actions[Action.COLLECT] + totals.left_behind,
            kept=_plain(totals.kept_rows),
            duplicates=totals.actions[Action.DUPLICATE],
            invalid=totals.actions[Action.INVALID],
            by_quality=totals.by_quality(),
            max_credits=terms.max_credits,
            cap=terms.cap.credits,
            spent_before=terms.spent_before,
            budget=terms.budget,
            unknown_at_most=totals.unknown_at_most,
            collect_at_most=totals.collect_at_most,
            outcomes=_plain(totals.outcome_rows),
            images=totals.images,
            remarks=totals.remarks(),
            applies=terms.applies.id if terms.applies else None,
        )

    def _bound(self, form: RequestForm) -> float:
        bound = self._bounds.get(form)
        if bound is None:
            bound = self._bounds[form] = price_bound(form.request, self._terms.account_prices)
        return bound

    def _standing(self, key: str) -> Standing:
        attempts, records = self._attempts.get(key), self._known.unsettled_records.get(key)
        if attempts is None and records is None:
            return self._untried
        return decide(records or (), attempts or (), self._terms.rules)


def _decided(key: str, standing: Standing, bound: float) -> Decided:
    job = standing.job
    if job is None:
        return Decided(key, standing.action, standing.outcome, standing.reason, None, standing.attempt, bound)
    return Decided(
        key, standing.action, standing.outcome, standing.reason, None, standing.attempt, job.bound, _told(job)
    )


def _told(job: Attempt) -> str:
    return orjson.dumps(asdict(job) | {"request": None}).decode()


def _plain(counts: Counter[Outcome]) -> dict[str, int]:
    return {outcome.value: count for outcome, count in counts.items()}
