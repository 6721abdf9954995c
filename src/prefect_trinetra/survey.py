"""What a dataset holds and what is going on in it, from its files alone. Writes nothing."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.costs import Cost, Costs
from prefect_trinetra.dataset import Identity, read_identity
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.holdings import Holding, HoldState
from prefect_trinetra.journal import JournalName
from prefect_trinetra.known import KnownState, load_known
from prefect_trinetra.lease import DATASET_SCOPE, latest_generation, lease_path
from prefect_trinetra.ledger import Attempt
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.reasons import ReasonClass, class_named
from prefect_trinetra.standing import outcome_now
from prefect_trinetra.storage import Storage
from prefect_trinetra.views import ROWS_FILE

__all__ = ["OpenJournal", "Reason", "RunTotals", "Survey", "read_reasons", "survey"]


@dataclass(frozen=True, slots=True)
class RunTotals:
    """The POSTs of one run that were or may have been accepted. Times are seconds since the epoch.

    They cost between `credits_charged` and `credits_at_most`; `by_outcome` and `by_quality` say what for.
    """

    run_id: str
    begun_at: float
    ended_at: float
    posts: int
    accepted: int
    unknown: int
    credits_bound: float
    credits_charged: float
    credits_at_most: float
    by_outcome: Mapping[str, Cost]
    by_quality: Mapping[str, Cost]


@dataclass(frozen=True, slots=True)
class OpenJournal:
    """A journal that was not closed: its run is under way, or it died and the next run takes over."""

    name: JournalName
    posts: int
    jobs_out: int
    last_entry_at: float | None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some rows did not succeed: how many they are, the first of them, and how many reasons they have.

    Reasons of one class go together, since many name a row's own job; `reason` is that of the first row.
    """

    outcome: Outcome
    reason: str
    rows: int
    first_row: int
    reason_class: ReasonClass | None = None
    reasons: int = 1


@dataclass(frozen=True)
class Survey:
    """A dataset at one moment.

    `rows` are the manifest's by outcome as last published; `requests` are all that were ever sent, by what became of
    each so far, open journals included.
    """

    url: str
    identity: Identity
    rows: Counter[Outcome]
    requests: Counter[Outcome]
    images: int
    reasons: Sequence[Reason]
    runs: Sequence[RunTotals]
    open_journals: Sequence[OpenJournal]
    torn_segments: Sequence[str]
    holder: Holding | None = None
    """The run that holds the dataset, or died while it did: one look can't tell."""

    @property
    def credits_charged(self) -> float:
        return sum(run.credits_charged for run in self.runs)

    @property
    def credits_at_most(self) -> float:
        return sum(run.credits_at_most for run in self.runs)

    @property
    def credits_bound(self) -> float:
        return sum(run.credits_bound for run in self.runs)


async def survey(storage: Storage) -> Survey:
    """Raises DatasetError where the folder is no dataset."""
    identity = await read_identity(storage)
    if identity is None:
        raise DatasetError(f"{storage.url} is no dataset: there is no dataset.json in it. Check the address")
    known = await load_known(storage)
    reasons = await read_reasons(storage)
    return Survey(
        url=storage.url,
        identity=identity,
        rows=_rows_by_outcome(reasons),
        requests=_requests_by_outcome(known),
        images=known.images,
        reasons=[reason for reason in reasons if reason.outcome is not Outcome.SUCCEEDED],
        runs=_runs(known.ledger()),
        open_journals=_open_journals(known),
        torn_segments=known.torn_segments,
        holder=await _holder(storage),
    )


async def _holder(storage: Storage) -> Holding | None:
    generation = await latest_generation(storage, DATASET_SCOPE)
    try:
        data = await storage.read(lease_path(DATASET_SCOPE, generation)) if generation else b""
    except FileNotFoundError:  # cleared away by the run that came after it, in this moment
        return None
    holding = Holding.from_json(data)
    return holding if holding is not None and holding.state is HoldState.HELD else None


async def read_reasons(storage: Storage) -> list[Reason]:
    """The published rows, grouped by outcome and class, the largest groups first; empty before the first run's end.

    Tables of early versions have no column of classes: then reasons are grouped by outcome alone.
    """
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        rows_file = Path(folder) / ROWS_FILE
        try:
            await storage.download(ROWS_FILE, rows_file)
        except FileNotFoundError:
            return []
        names = pq.read_schema(rows_file).names
        table = pq.read_table(rows_file, columns=["row", "outcome", "reason", *{"reason_class"}.intersection(names)])
    if "reason_class" not in table.column_names:
        table = table.append_column("reason_class", pa.nulls(table.num_rows, pa.string()))
    return _grouped(table.set_column(2, "reason", pc.fill_null(table["reason"], "")))


def _grouped(table: pa.Table) -> list[Reason]:
    # "first" means the first row only in one thread.
    groups = table.group_by(["outcome", "reason_class"], use_threads=False).aggregate(
        [("row", "count"), ("row", "min"), ("reason", "first"), ("reason", "count_distinct")]
    )
    reasons = [
        Reason(
            Outcome(group["outcome"]),
            group["reason_first"],
            group["row_count"],
            group["row_min"],
            class_named(group["reason_class"]),
            group["reason_count_distinct"],
        )
        for group in groups.to_pylist()
    ]
    return sorted(reasons, key=lambda reason: (-reason.rows, reason.first_row))


def _rows_by_outcome(reasons: Iterable[Reason]) -> Counter[Outcome]:
    rows: Counter[Outcome] = Counter()
    for reason in reasons:
        rows[reason.outcome] += reason.rows
    return rows


def _requests_by_outcome(known: KnownState) -> Counter[Outcome]:
    requests = ((known.unsettled_records.get(key, ()), mine) for key, mine in known.unsettled.items())
    ends = (outcome_now(records, attempts)[0] for records, attempts in requests)
    outcomes = Counter(outcome for outcome in ends if outcome is not None)
    if len(known.settled):
        outcomes[Outcome.SUCCEEDED] += len(known.settled)
    return outcomes


@dataclass
class _Run:
    """One run's POSTs, counted one by one."""

    begun_at: float
    ended_at: float = 0.0
    accepted: int = 0
    costs: Costs = field(default_factory=Costs)

    def add(self, attempt: Attempt) -> None:
        self.begun_at = min(self.begun_at, attempt.begun_at)
        self.ended_at = max(self.ended_at, attempt.last_told_at)
        self.accepted += attempt.job_id is not None
        self.costs.add(attempt)


def _runs(ledger: Iterable[Attempt]) -> list[RunTotals]:
    runs: dict[str, _Run] = {}
    for attempt in ledger:
        if attempt.may_have_cost:
            runs.setdefault(attempt.run_id, _Run(attempt.begun_at)).add(attempt)
    return sorted((_totals(run_id, run) for run_id, run in runs.items()), key=lambda run: run.begun_at)


def _totals(run_id: str, run: _Run) -> RunTotals:
    total = run.costs.total
    return RunTotals(
        run_id=run_id,
        begun_at=run.begun_at,
        ended_at=run.ended_at,
        posts=total.posts,
        accepted=run.accepted,
        unknown=total.posts - run.accepted,
        credits_bound=total.bound,
        credits_charged=total.charged,
        credits_at_most=total.at_most,
        by_outcome=run.costs.by_outcome,
        by_quality=run.costs.by_quality,
    )


def _open_journals(known: KnownState) -> list[OpenJournal]:
    by_writer: dict[str, list[Attempt]] = {}
    # What an open journal tells of is never settled.
    for attempt in chain.from_iterable(known.unsettled.values()):
        by_writer.setdefault(attempt.writer, []).append(attempt)
    return [
        _open_journal(name, by_writer.get(name.writer, []))
        for name in sorted(known.open_journals, key=lambda name: name.stem)
    ]


def _open_journal(name: JournalName, attempts: Sequence[Attempt]) -> OpenJournal:
    times = [attempt.last_told_at for attempt in attempts]
    return OpenJournal(name, len(attempts), sum(attempt.is_out for attempt in attempts), max(times) if times else None)
