"""A plan made of an earlier one of the same manifest: its rows ask for the same, so that only decisions are new.

What is settled is decided by columns, at a small part of what reading a manifest costs: a schedule runs a finished
dataset again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.deciding import Decided, Decider
from prefect_trinetra.forms import PLACEHOLDER, RequestForm
from prefect_trinetra.known import KnownState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import REQUEST_FIELDS, ROWS_AT_ONCE, Plan, PlanTerms
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.settled import Places, places_in, rows_at, with_packed_keys
from prefect_trinetra.standing import Action

__all__ = ["make_plan_again"]

Flags = npt.NDArray[np.bool_]
# Of a row that is looked at for itself.
_FORM: Final = tuple(name for name in REQUEST_FIELDS if name != "prompt")
_LOOKED_AT: Final = ("row", "source", "key", "action", "reason", "first_row", *_FORM)


def make_plan_again(earlier: Plan, earlier_rows: Path, known: KnownState, terms: PlanTerms, rows_file: Path) -> Plan:
    """What make_plan makes of the same manifest, read in the same way, from the rows of an earlier plan of it."""
    with pq.ParquetFile(earlier_rows) as source:
        again = _Again(source, known, terms)
        with pq.ParquetWriter(rows_file, source.schema_arrow, compression="zstd") as writer:
            for table in again.tables(source):
                writer.write_table(table, row_group_size=ROWS_AT_ONCE)
    pa.default_memory_pool().release_unused()
    return again.decider.plan(earlier.fingerprint, earlier.reading)


class _Again:
    def __init__(self, source: pq.ParquetFile, known: KnownState, terms: PlanTerms) -> None:
        self.decider = Decider(known, terms)
        self._is_settled = _places(source, known) >= 0
        self._seen: set[str] = set()
        self._forms: dict[tuple[Any, ...], RequestForm] = {}

    def tables(self, source: pq.ParquetFile) -> Iterator[pa.Table]:
        begin = 0
        for number in range(source.metadata.num_row_groups):
            rows = source.read_row_group(number)
            is_settled = self._is_settled[begin : begin + rows.num_rows]
            begin += rows.num_rows
            mine = np.asarray(pc.greater(rows["row"], 0), np.bool_)
            if not mine.all():  # jobs that an earlier manifest left behind are looked for anew
                rows, is_settled = rows.filter(pa.array(mine)), is_settled[mine]
            if rows.num_rows:
                yield self._decided(rows, is_settled)
        left = list(self.decider.left_behind(self._seen.__contains__))
        if left:
            yield pa.Table.from_pylist(
                [
                    {"row": row, "sample": sample, **decided._asdict(), **request.model_dump()}
                    for row, sample, decided, request in left
                ],
                source.schema_arrow,
            )

    def _decided(self, rows: pa.Table, is_settled: Flags) -> pa.Table:
        """These rows with new decisions."""
        totals = self.decider.totals
        totals.rows += rows.num_rows
        # What was kept or bought has the bound that it had; a job's is the job's own.
        actions = rows["action"]
        is_plain = is_settled & _is(actions, Action.BUY, Action.KEEP)
        totals.settled += int(is_plain.sum())
        looked_at = np.flatnonzero(~is_plain)
        some = rows_at(rows.select(list(_LOOKED_AT)), looked_at).to_pylist()
        settled = is_settled[looked_at].tolist()
        decided = [self._looked_at(row, is_settled=each) for row, each in zip(some, settled, strict=True)]
        return _with(rows, is_plain, decided)

    def _looked_at(self, row: Mapping[str, Any], *, is_settled: bool) -> Decided:
        number, key = row["row"], row["key"]
        if row["action"] == Action.INVALID:
            return self.decider.invalid(number, row["source"], row["reason"])
        if row["action"] == Action.DUPLICATE:
            return self.decider.duplicate(number, key, row["first_row"], is_settled=is_settled)
        form = self._form(row)
        if is_settled:
            return self.decider.settled(key, form)
        self._seen.add(key)
        return self.decider.unsettled(key, form)

    def _form(self, row: Mapping[str, Any]) -> RequestForm:
        values = tuple(row[name] for name in _FORM)
        form = self._forms.get(values)
        if form is None:
            request = ImageRequest(PLACEHOLDER, **dict(zip(_FORM, values, strict=True)))
            form = self._forms[values] = RequestForm(request)
        return form


def _places(source: pq.ParquetFile, known: KnownState) -> Places:
    """Of each row of a plan the place of its request among the settled ones."""
    names = known.settled.keys
    batches = source.iter_batches(columns=["key"], use_threads=False)
    keys = (with_packed_keys(pa.Table.from_batches([batch]))["key"].chunks for batch in batches)
    return places_in(names, pa.chunked_array(chain.from_iterable(keys), names.type))


def _with(rows: pa.Table, is_plain: Flags, decided: Sequence[Decided]) -> pa.Table:
    """The rows with what was decided: all that are plain are kept, the others as it says in `decided`."""
    kept = Decided("", Action.KEEP, Outcome.SUCCEEDED, attempt=1)
    is_looked_at = pa.array(~is_plain)
    for name in Decided._fields[1:]:
        at = rows.schema.get_field_index(name)
        field = rows.schema.field(at)
        column = rows.column(at).combine_chunks()
        if name != "bound":
            column = pc.if_else(is_looked_at, column, pa.scalar(getattr(kept, name), field.type))
        new = pa.array([getattr(each, name) for each in decided], field.type)
        rows = rows.set_column(at, field, pc.replace_with_mask(column, is_looked_at, new))
    return rows


def _is(column: pa.ChunkedArray, *values: str) -> Flags:
    return np.asarray(pc.is_in(column, value_set=pa.array(values, pa.string())), np.bool_)
