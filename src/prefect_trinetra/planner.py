"""Goes through a manifest in order and writes down what is to happen with each row."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import Attempt
from prefect_trinetra.manifest import Manifest, ManifestRow
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import MANIFEST_PREFIX, PLAN_SCHEMA, Plan, PlanTerms, new_plan_id
from prefect_trinetra.prices import price_bound
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.standing import Action, Standing, decide

__all__ = ["make_plan"]

ROWS_AT_ONCE: Final = 5_000
EXAMPLES: Final = 5


@dataclass
class _Totals:
    """What is counted while rows go by."""

    rows: int = 0
    actions: Counter[Action] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    bound_by_quality: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    over_cap: int = 0
    bound_over_cap: float = 0.0
    images: int = 0
    left_behind: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    first_duplicates: list[str] = field(default_factory=list)
    first_invalid: list[str] = field(default_factory=list)


def make_plan(manifest: Manifest, known: KnownState, terms: PlanTerms, rows_file: Path) -> Plan:
    """Reads the manifest once, decides about every row, and writes all to `rows_file` (Parquet, PLAN_SCHEMA + columns).

    Memory grows with the number of different requests, not with the size of the manifest. Raises ManifestError.
    """
    planner = _Planner(manifest, known, terms)
    schema = _plan_schema(manifest.schema)
    with pq.ParquetWriter(rows_file, schema, compression="zstd") as writer:
        for batch in _batches(planner.planned_rows()):
            writer.write_table(pa.Table.from_pylist(batch, schema=schema), row_group_size=ROWS_AT_ONCE)
    return planner.summary()


class _Planner:
    """Goes through a manifest in order and says of each row what is to happen."""

    def __init__(self, manifest: Manifest, known: KnownState, terms: PlanTerms) -> None:
        self._manifest = manifest
        self._known = known
        self._terms = terms
        self._totals = _Totals()
        self._left = terms.budget.left
        self._first_rows: dict[bytes, int] = {}
        self._over_cap: set[bytes] = set()
        self._attempts: dict[str, list[Attempt]] = {}
        for attempt in known.ledger():
            self._attempts.setdefault(attempt.key, []).append(attempt)

    def planned_rows(self) -> Iterator[dict[str, Any]]:
        for row in self._manifest.rows():
            columns = {MANIFEST_PREFIX + name: value for name, value in row.columns.items()}
            for sample in range(self._terms.samples):
                self._totals.rows += 1
                yield {
                    "row": row.number,
                    "sample": sample,
                    "source": row.source,
                    **columns,
                    **self._decided(row, sample),
                }
        yield from self._left_behind()

    def _left_behind(self) -> Iterator[dict[str, Any]]:
        """Jobs still out whose rows the manifest has no more: paid for, so collected. Their numbers are below 0."""
        for key, attempts in self._attempts.items():
            standing = self._standing(key)
            job = standing.job
            if job is None or job.request is None or bytes.fromhex(key) in self._first_rows:
                continue
            self._totals.left_behind += 1
            request = ImageRequest(**orjson.loads(job.request))
            yield {
                "row": -self._totals.left_behind,
                "sample": attempts[0].sample,
                "key": key,
                **request.__dict__,
                **_planned(standing, job.bound),
            }

    def _decided(self, row: ManifestRow, sample: int) -> dict[str, Any]:
        if row.request is None:
            return self._invalid(row)
        key = row.request.key(sample)
        request = dict(row.request.__dict__)
        first_row = self._first_rows.setdefault(bytes.fromhex(key), row.number)
        if first_row != row.number:
            return request | self._duplicate(row, key, first_row)
        return request | self._counted(row.request, key, self._standing(key))

    def _standing(self, key: str) -> Standing:
        return decide(self._known.records.get(key, ()), self._attempts.get(key, ()), self._terms.rules)

    def _invalid(self, row: ManifestRow) -> dict[str, Any]:
        self._totals.actions[Action.INVALID] += 1
        self._totals.outcomes[Outcome.INVALID.value] += 1
        if len(self._totals.first_invalid) < EXAMPLES:
            self._totals.first_invalid.append(f"row {row.number} ({row.source}): {row.error}")
        return {"action": Action.INVALID, "outcome": Outcome.INVALID, "reason": row.error}

    def _duplicate(self, row: ManifestRow, key: str, first_row: int) -> dict[str, Any]:
        self._totals.actions[Action.DUPLICATE] += 1
        over_cap = bytes.fromhex(key) in self._over_cap
        self._totals.outcomes[Outcome.OVER_BUDGET.value if over_cap else self._standing(key).outcome.value] += 1
        if len(self._totals.first_duplicates) < EXAMPLES:
            self._totals.first_duplicates.append(f"row {row.number} asks for the same as row {first_row}")
        return {
            "key": key,
            "action": Action.DUPLICATE,
            "reason": f"the same request as row {first_row}",
            "first_row": first_row,
        }

    def _counted(self, request: ImageRequest, key: str, standing: Standing) -> dict[str, Any]:
        bound = price_bound(request, self._terms.account_prices)
        self._totals.actions[standing.action] += 1
        outcome = standing.outcome
        if standing.action is Action.KEEP:
            self._totals.kept[outcome.value] += 1
        elif standing.action is Action.COLLECT:
            self._totals.images += request.n
        elif not self._fits(request, bound):
            self._over_cap.add(bytes.fromhex(key))
            outcome = Outcome.OVER_BUDGET
        self._totals.outcomes[outcome.value] += 1
        return {"key": key, **_planned(standing, standing.job.bound if standing.job else bound)}

    def _fits(self, request: ImageRequest, bound: float) -> bool:
        """Prices a row to buy; whether the cap still covers it."""
        self._totals.bound_by_quality[request.quality] += bound
        if bound > self._left:
            self._totals.over_cap += 1
            self._totals.bound_over_cap += bound
            return False
        self._left -= bound
        self._totals.images += request.n
        return True

    def summary(self) -> Plan:
        """The totals, once every row has gone by."""
        totals = self._totals
        now = datetime.now(UTC)
        return Plan(
            id=new_plan_id(now),
            run_id=self._terms.run_id,
            made_at=now.isoformat(timespec="seconds"),
            fingerprint=self._manifest.fingerprint,
            rows=totals.rows,
            to_buy=totals.actions[Action.BUY],
            to_collect=totals.actions[Action.COLLECT] + totals.left_behind,
            kept=dict(totals.kept),
            duplicates=totals.actions[Action.DUPLICATE],
            invalid=totals.actions[Action.INVALID],
            over_cap=totals.over_cap,
            bound=float(sum(totals.bound_by_quality.values())),
            bound_over_cap=totals.bound_over_cap,
            bound_by_quality=dict(totals.bound_by_quality),
            max_credits=self._terms.budget.max_credits,
            spent_before=self._terms.budget.spent,
            images=totals.images,
            outcomes=dict(totals.outcomes),
            remarks=_remarks(totals),
        )


def _planned(standing: Standing, bound: float) -> dict[str, Any]:
    job = standing.job
    return {
        "action": standing.action,
        "outcome": standing.outcome,
        "reason": standing.reason,
        "attempt": standing.attempt,
        "bound": bound,
        "job": None if job is None else orjson.dumps(asdict(job) | {"request": None}).decode(),
    }


def _plan_schema(columns: pa.Schema) -> pa.Schema:
    return pa.schema([*PLAN_SCHEMA, *(field.with_name(MANIFEST_PREFIX + field.name) for field in columns)])


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _remarks(totals: _Totals) -> tuple[str, ...]:
    remarks = [*totals.first_invalid, *totals.first_duplicates]
    if totals.actions[Action.DUPLICATE]:
        remarks.append("duplicates are bought once; for several pictures of one prompt ask for samples")
    if totals.left_behind:
        remarks.append(
            f"{totals.left_behind} jobs of rows that the manifest has no more are collected too: their images are kept "
            "for a manifest that asks for them again"
        )
    return tuple(remarks)
