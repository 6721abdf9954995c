"""Goes through a manifest in order and writes down what is to happen with each row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from prefect_trinetra.deciding import Decided, Decider
from prefect_trinetra.forms import RequestForm
from prefect_trinetra.known import KnownState
from prefect_trinetra.manifest import Manifest, ManifestRow
from prefect_trinetra.plan import PLAN_SCHEMA, REQUEST_FIELDS, ROWS_AT_ONCE, Plan, PlanTerms, plan_schema

__all__ = ["make_plan"]


class _Planned(NamedTuple):
    """One row of a plan: its place, what is decided, what it asks for, and the manifest's own columns."""

    row: int
    sample: int
    source: str | None
    decided: Decided
    form: RequestForm | None
    prompt: str | None
    columns: Collection[Any]


def make_plan(manifest: Manifest, known: KnownState, terms: PlanTerms, rows_file: Path) -> Plan:
    """Reads the manifest once, decides about every row, and writes all to `rows_file` (Parquet, PLAN_SCHEMA + columns).

    Memory grows with the number of different requests, not with the size of the manifest. Raises ManifestError.
    """
    planner = _Planner(manifest, known, terms)
    schema = plan_schema(manifest.schema)
    rows = planner.planned_rows()
    with pq.ParquetWriter(rows_file, schema, compression="zstd") as writer:
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_table(_table(batch, schema), row_group_size=ROWS_AT_ONCE)
    # The run goes on for long, and what was used here is not used again.
    pa.default_memory_pool().release_unused()
    return planner.decider.plan(manifest.fingerprint, terms.reading(manifest.asked))


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
        self.decider = Decider(known, terms)
        self._manifest = manifest
        self._samples = range(terms.sample_base, terms.sample_base + terms.samples)
        # The row that first asks for each request; below 0 that of a settled one, 0 as long as no row does.
        self._first_rows: dict[bytes, int] = dict.fromkeys(_settled_names(known), 0)

    def planned_rows(self) -> Iterator[_Planned]:
        for row in self._manifest.rows():
            number, source, form, prompt, error, columns = row
            for sample in self._samples:
                self.decider.totals.rows += 1
                if form is None:
                    decided = self.decider.invalid(number, source, error)
                else:
                    decided = self._decided(row, form, sample)
                yield _Planned(number, sample, source, decided, form, prompt if form else None, columns.values())
        no_columns = (None,) * len(self._manifest.schema)
        for place, sample, decided, request in self.decider.left_behind(self._is_asked_for):
            yield _Planned(place, sample, None, decided, RequestForm(request), request.prompt, no_columns)

    def _is_asked_for(self, key: str) -> bool:
        return bytes.fromhex(key) in self._first_rows

    def _decided(self, row: ManifestRow, form: RequestForm, sample: int) -> Decided:
        key = form.key(row.prompt, sample)
        name = bytes.fromhex(key)
        first_row = self._first_rows.get(name)
        if first_row:
            return self.decider.duplicate(row.number, key, abs(first_row), is_settled=first_row < 0)
        if first_row is not None:
            self._first_rows[name] = -row.number
            return self.decider.settled(key, form)
        self._first_rows[name] = row.number
        return self.decider.unsettled(key, form)


def _settled_names(known: KnownState) -> Iterator[bytes]:
    for chunk in known.settled.keys.chunks:
        for start in range(0, len(chunk), ROWS_AT_ONCE):
            yield from chunk.slice(start, ROWS_AT_ONCE).to_pylist()
