"""Goes through a manifest in order and writes down what is to happen with each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from prefect_trinetra.forms import RequestForm
from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import CREDIT_GRAIN
from prefect_trinetra.manifest import Manifest, ManifestRow
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import MANIFEST_PREFIX, PLAN_SCHEMA, REQUEST_FIELDS, Plan, PlanTerms, new_plan_id
from prefect_trinetra.plan_totals import PlanTotals
from prefect_trinetra.prices import price_bound
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.standing import Action, Standing, decide

__all__ = ["make_plan"]

ROWS_AT_ONCE: Final = 5_000


class _Decided(NamedTuple):
    """What is to happen with a row: the columns of PLAN_SCHEMA between its place and its request."""

    key: str | None
    action: Action
    outcome: Outcome | None = None
    reason: str | None = None
    first_row: int | None = None
    attempt: int | None = None
    bound: float | None = None
    job: str | None = None


class _Planned(NamedTuple):
    """One row of a plan: its place, what is decided, what it asks for, and the manifest's own columns."""

    row: int
    sample: int
    source: str | None
    decided: _Decided
    form: RequestForm | None
    prompt: str | None
    columns: Collection[Any]


def make_plan(manifest: Manifest, known: KnownState, terms: PlanTerms, rows_file: Path) -> Plan:
    """Reads the manifest once, decides about every row, and writes all to `rows_file` (Parquet, PLAN_SCHEMA + columns).

    Memory grows with the number of different requests, not with the size of the manifest. Raises ManifestError.
    """
    planner = _Planner(manifest, known, terms)
    schema = _plan_schema(manifest.schema)
    rows = planner.planned_rows()
    with pq.ParquetWriter(rows_file, schema, compression="zstd") as writer:
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_table(_table(batch, schema), row_group_size=ROWS_AT_ONCE)
    # The run goes on for long, and what was used here is not used again.
    pa.default_memory_pool().release_unused()
    return planner.summary()


def _table(batch: Sequence[_Planned], schema: pa.Schema) -> pa.Table:
    *places, decided, forms, prompts, columns = zip(*batch, strict=True)
    asked = _asked(forms, prompts)
    named = dict(zip(schema.names, [*places, *zip(*decided, strict=True)], strict=False)) | asked
    own = schema.names[len(PLAN_SCHEMA) :]
    named |= dict(zip(own, zip(*columns, strict=True), strict=True)) if own else {}
    arrays = [
        values if isinstance(values, pa.Array) else pa.array(values, field.type)
        for field, values in ((field, named[field.name]) for field in schema)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _asked(forms: Sequence[RequestForm | None], prompts: Sequence[str | None]) -> dict[str, Any]:
    """The columns of the requests: rows share a few forms, so that those are taken together."""
    numbers = {form: number for number, form in enumerate(dict.fromkeys(forms))}
    at = pa.array([numbers[form] for form in forms], pa.int32())
    asked: dict[str, Any] = {"prompt": prompts}
    for name in REQUEST_FIELDS:
        if name != "prompt":
            values = [None if form is None else getattr(form.request, name) for form in numbers]
            asked[name] = pa.array(values, PLAN_SCHEMA.field(name).type).take(at)
    return asked


class _Planner:
    """Goes through a manifest in order and says of each row what is to happen."""

    def __init__(self, manifest: Manifest, known: KnownState, terms: PlanTerms) -> None:
        self._manifest = manifest
        self._known = known
        self._terms = terms
        self._samples = range(terms.sample_base, terms.sample_base + terms.samples)
        self._totals = PlanTotals()
        self._left = terms.cap.left
        # The row that first asks for each request; below 0 that of a settled one, 0 as long as no row does.
        self._first_rows: dict[bytes, int] = dict.fromkeys(_settled_names(known), 0)
        self._over_cap: set[bytes] = set()
        self._attempts = known.unsettled
        # The same for every request that nobody has asked for yet, which is most of them in a first run.
        self._untried = decide((), (), terms.rules)
        self._settled = Standing(Action.KEEP, Outcome.SUCCEEDED)
        self._bounds: dict[RequestForm, float] = {}

    def planned_rows(self) -> Iterator[_Planned]:
        for row in self._manifest.rows():
            number, source, form, prompt, _, columns = row
            for sample in self._samples:
                self._totals.rows += 1
                decided = self._invalid(row) if form is None else self._decided(row, form, sample)
                yield _Planned(number, sample, source, decided, form, prompt if form else None, columns.values())
        yield from self._left_behind()

    def _left_behind(self) -> Iterator[_Planned]:
        """Jobs still out whose rows the manifest has no more: paid for, so collected. Their numbers are below 0.

        In the order of their keys, so that a plan made again numbers them alike.
        """
        no_columns = (None,) * len(self._manifest.schema)
        for key in sorted(key for key in self._attempts if bytes.fromhex(key) not in self._first_rows):
            standing = self._standing(key)
            if standing.job is None or standing.job.request is None:
                continue
            self._totals.left_behind += 1
            self._totals.collect_at_most += standing.job.spent
            request = ImageRequest(**orjson.loads(standing.job.request))
            decided, form = _decided(key, standing, 0.0), RequestForm(request)
            yield _Planned(
                -self._totals.left_behind, standing.job.sample, None, decided, form, request.prompt, no_columns
            )

    def _decided(self, row: ManifestRow, form: RequestForm, sample: int) -> _Decided:
        key = form.key(row.prompt, sample)
        name = bytes.fromhex(key)
        first_row = self._first_rows.get(name)
        if first_row:
            return self._duplicate(row, key, abs(first_row))
        if first_row is not None:
            self._first_rows[name] = -row.number
            self._totals.settled += 1
            return _decided(key, self._settled, self._bound(form))
        self._first_rows[name] = row.number
        return self._counted(form, key, self._standing(key))

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

    def _invalid(self, row: ManifestRow) -> _Decided:
        self._totals.invalid(row)
        return _Decided(None, Action.INVALID, Outcome.INVALID, row.error)

    def _duplicate(self, row: ManifestRow, key: str, first_row: int) -> _Decided:
        name = bytes.fromhex(key)
        standing = self._settled if self._first_rows[name] < 0 else self._standing(key)
        self._totals.duplicate(row, first_row, Outcome.OVER_BUDGET if name in self._over_cap else standing.outcome)
        return _Decided(key, Action.DUPLICATE, None, f"the same request as row {first_row}", first_row)

    def _counted(self, form: RequestForm, key: str, standing: Standing) -> _Decided:
        request, bound = form.request, self._bound(form)
        outcome = standing.outcome
        if standing.action is Action.BUY:
            fits = bound <= self._left + CREDIT_GRAIN
            self._totals.priced(request, bound, fits=fits)
            if fits:
                self._left -= bound
            else:
                self._over_cap.add(bytes.fromhex(key))
                outcome = Outcome.OVER_BUDGET
        elif standing.action is Action.COLLECT:
            self._totals.images += request.n
            self._totals.collect_at_most += standing.job.spent if standing.job else 0.0
        else:
            self._totals.keep(outcome, self._attempts.get(key, ()))
        self._totals.actions[standing.action] += 1
        self._totals.outcomes[outcome] += 1
        return _decided(key, standing, bound)

    def summary(self) -> Plan:
        """The totals, once every row has gone by."""
        totals, terms = self._totals, self._terms
        now = datetime.now(UTC)
        return Plan(
            id=new_plan_id(now),
            run_id=terms.run_id,
            made_at=now.isoformat(timespec="seconds"),
            fingerprint=self._manifest.fingerprint,
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


def _settled_names(known: KnownState) -> Iterator[bytes]:
    for chunk in known.settled.keys.chunks:
        for start in range(0, len(chunk), ROWS_AT_ONCE):
            yield from chunk.slice(start, ROWS_AT_ONCE).to_pylist()


def _decided(key: str, standing: Standing, bound: float) -> _Decided:
    job = standing.job
    if job is None:
        return _Decided(key, standing.action, standing.outcome, standing.reason, None, standing.attempt, bound)
    told = orjson.dumps(asdict(job) | {"request": None}).decode()
    return _Decided(key, standing.action, standing.outcome, standing.reason, None, standing.attempt, job.bound, told)


def _plain(counts: Counter[Outcome]) -> dict[str, int]:
    return {outcome.value: count for outcome, count in counts.items()}


def _plan_schema(columns: pa.Schema) -> pa.Schema:
    return pa.schema([*PLAN_SCHEMA, *(field.with_name(MANIFEST_PREFIX + field.name) for field in columns)])
