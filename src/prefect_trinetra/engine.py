"""One shard: its rows through submit, poll and download, each on its own, every step journaled."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from prefect_trinetra.endings import (
    Ending,
    aged,
    ending_records,
    ending_with_outputs,
    ending_without_outputs,
)
from prefect_trinetra.errors import JobGone, StorageError
from prefect_trinetra.journal import Journal
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Job, Outcome
from prefect_trinetra.pacing import InFlight
from prefect_trinetra.parts import store_parts
from prefect_trinetra.progress import Progress
from prefect_trinetra.purchase import Buyer, StopSign
from prefect_trinetra.reasons import ReasonClass, class_named
from prefect_trinetra.records import Record
from prefect_trinetra.reentry import Before
from prefect_trinetra.request import ImageRequest, unsigned_url
from prefect_trinetra.shards import ShardRow
from prefect_trinetra.steps import CURRENT_ROW, Steps
from prefect_trinetra.storage import Storage

__all__ = ["ShardReport", "ShardRun"]

logger = logging.getLogger(__name__)

# How long a cancelled shard waits for the answers to its POSTs, and then for its journal.
LAST_ANSWERS_SECONDS: Final = 6.0
LAST_WRITES_SECONDS: Final = 2.0
PART_TRIES: Final = 3


@dataclass(frozen=True)
class ShardReport:
    """What became of a shard; small, and plain enough to travel as JSON.

    `released` is what the shard's rows counted as against the cap when they were let in, `spent` what they count as
    now, both in credits; `charged` is what the provider said it charged in this run.
    """

    shard: str
    rows: int
    outcomes: dict[str, int]
    submitted: int
    images: int
    bytes: int
    bound: float
    released: float
    spent: float
    charged: float
    stopped: str | None = None
    errors: tuple[str, ...] = ()


@dataclass
class ShardRun:
    """One opening of a shard. `lifetime_seconds` is how long a job may stay pending at all."""

    storage: Storage
    journal: Journal
    buyer: Buyer
    steps: Steps
    in_flight: InFlight
    run_id: str
    job_deadline_seconds: float
    lifetime_seconds: float
    progress: Progress = field(default_factory=Progress)
    before: Before = field(default_factory=Before)
    _attempts: list[Attempt] = field(default_factory=list)
    _records: list[Record] = field(default_factory=list)
    _outcomes: Counter[Outcome] = field(default_factory=Counter)
    _unended: dict[tuple[int, int], ShardRow] = field(default_factory=dict)
    _errors: list[str] = field(default_factory=list)

    @property
    def stop(self) -> StopSign:
        return self.buyer.stop

    async def run(self, rows: Sequence[ShardRow]) -> ShardReport:
        """Works on every row until each has an outcome, then closes the shard."""
        self._unended = {(row.row, row.sample): row for row in rows}
        self._outcomes.update(self.before.outcomes)
        self.progress.outcomes.update(self.before.outcomes)
        try:
            async with asyncio.TaskGroup() as group:
                for row in rows:
                    group.create_task(self._row(row))
        except BaseException:
            await self._break_off()
            raise
        if self._unended:
            # Such a row is known to the journal alone: that stays, and the next run takes the row up from there.
            await self.buyer.settle(LAST_ANSWERS_SECONDS)
            await self.journal.flush()
        else:
            await self.journal.flush()
            await self._store()
        return self._report(rows)

    async def _break_off(self) -> None:
        """Leaves the journal durable and the jobs to be collected by the next run."""
        self.stop.stop("the run was cancelled")
        await self.buyer.settle(LAST_ANSWERS_SECONDS)
        await self.journal.close(patience_seconds=LAST_WRITES_SECONDS)

    async def _store(self) -> None:
        for tries in range(1, PART_TRIES + 1):
            try:
                await self.storage.settle([record.file_name for record in self._records if record.file_name])
                await store_parts(self.storage, self.journal.name.stem, self._attempts, self._records)
                await self.journal.discard()
                return
            except StorageError as error:
                # Nothing is lost: the journal is durable, and the next run makes the same parts from it.
                logger.warning("shard %s was not closed (%s), try %d", self.journal.name.stem, error, tries)
                await asyncio.sleep(tries)

    async def _row(self, row: ShardRow) -> None:
        CURRENT_ROW.set(row.row)
        try:
            outcome = await self._outcome(row)
        except Exception as error:  # one bad row costs nobody else; what was journaled is taken up by the next run
            logger.exception("row %d ended in an error of ours", row.row)
            self._errors.append(f"row {row.row}: {error!r}")
            return
        del self._unended[row.row, row.sample]
        self._outcomes[outcome] += 1
        self.progress.outcomes[outcome] += 1

    async def _outcome(self, row: ShardRow) -> Outcome:
        async with self.in_flight:
            attempt = row.job or await self.buyer.buy(row, self._new_attempt(row))
            if attempt.state is not AttemptState.ACCEPTED:
                return self._not_accepted(row, attempt)
            self.progress.submitted += row.job is None
            self.progress.in_flight += 1
            try:
                job = await self._poll(row, attempt)
            finally:
                self.progress.in_flight -= 1
        if isinstance(job, Ending):
            return self._ended(row, attempt, job)
        if not job.outputs:
            return self._ended(row, attempt, ending_without_outputs(job))
        collected = await self.steps.collect(job, row.key, row.request)
        return self._ended(row, attempt, ending_with_outputs(job, collected, row.request.n))

    def _new_attempt(self, row: ShardRow) -> Attempt:
        name = self.journal.name
        return Attempt(
            key=row.key,
            attempt=row.attempt,
            sample=row.sample,
            run_id=self.run_id,
            plan_id=name.plan_id,
            shard=name.shard,
            writer=name.writer,
            state=AttemptState.OPEN,
            bound=row.bound,
            begun_at=0.0,
            request=_published(row.request),
        )

    async def _poll(self, row: ShardRow, attempt: Attempt) -> Job | Ending:
        """The job's last document, or an ending where it was not seen."""
        age = max(0.0, time.time() - attempt.begun_at)
        try:
            job = await self.steps.poll(
                attempt.job_id or "", row.request, age_seconds=age, deadline_seconds=self.job_deadline_seconds
            )
        except JobGone as error:
            return Ending(Outcome.PENDING, str(error), reason_class=ReasonClass.GONE_FOR_NOW)
        if job is None:
            reason = f"job {attempt.job_id} was not done within {self.job_deadline_seconds:.0f} s"
            return Ending(Outcome.PENDING, reason, reason_class=ReasonClass.NOT_DONE)
        return job

    def _not_accepted(self, row: ShardRow, attempt: Attempt) -> Outcome:
        """The end of a row without a job: refused, unknown, or pending because its turn did not come."""
        if attempt.answered_at is not None:
            self._attempts.append(attempt)
        if attempt.state is AttemptState.VOID:
            return Outcome.PENDING
        refused = attempt.state is AttemptState.REFUSED
        outcome = Outcome.REFUSED if refused else Outcome.UNKNOWN
        ending = Ending(outcome, attempt.reason, reason_class=class_named(attempt.reason_class))
        self._keep(ending_records(row, attempt, ending, time.time()))
        return outcome

    def _ended(self, row: ShardRow, attempt: Attempt, told: Ending) -> Outcome:
        now = time.time()
        ending = aged(told, age_seconds=now - attempt.begun_at, lifetime_seconds=self.lifetime_seconds)
        ended = replace(
            attempt,
            outcome=ending.outcome,
            reason=ending.reason,
            reason_class=ending.reason_class,
            credits_charged=ending.credits_charged,
            finished_at=now,
            request=attempt.request or _published(row.request),
        )
        # Records first: an attempt that says succeeded must find its images.
        self._keep(ending_records(row, ended, ending, now))
        self._attempts.append(ended)
        self.journal.note(replace(ended, request=None))
        self.progress.images += len(ending.images)
        self.progress.credits_charged += ending.credits_charged or 0.0
        if ended.is_overcharged:
            # Whatever else is ordered may be charged above its bound as well: no cap would hold.
            self.stop.stop_plan(f"charged above the bound: {ended.overcharge}")
        return ending.outcome

    def _keep(self, records: Sequence[Record]) -> None:
        self._records.extend(records)
        for record in records:
            self.journal.note(record)

    def _counted(self) -> Counter[Outcome]:
        return self._outcomes + Counter({Outcome.PENDING: len(self._unended)})

    def _counted_before(self, row: ShardRow) -> float:
        """What a row counted as, against this run's cap, when it was let in."""
        if row.job is None:
            return row.bound
        return row.job.spent if row.job.run_id == self.run_id else 0.0

    def _report(self, rows: Sequence[ShardRow]) -> ShardReport:
        admitted = self.before.admitted or rows
        # Of one POST the later account stands: an earlier writer of this shard may have begun it.
        accounts = {(each.key, each.attempt): each for each in (*self.before.attempts, *self._attempts)}
        mine = [attempt for attempt in accounts.values() if attempt.run_id == self.run_id]
        images = [record for record in (*self.before.records, *self._records) if record.file_name]
        broken_off = [row for row in self._unended.values() if (row.key, row.attempt) not in accounts]
        resumed = [row for row in admitted if row.job is not None and row.job.run_id == self.run_id]
        return ShardReport(
            shard=self.journal.name.shard,
            rows=len(admitted),
            outcomes={outcome.value: count for outcome, count in self._counted().items()},
            submitted=sum(attempt.state is AttemptState.ACCEPTED for attempt in mine) - len(resumed),
            images=len(images),
            bytes=sum(record.bytes or 0 for record in images),
            bound=sum(attempt.bound for attempt in mine if attempt.may_have_cost),
            released=sum(map(self._counted_before, admitted)),
            spent=sum(attempt.spent for attempt in mine) + sum(map(self._counted_before, broken_off)),
            charged=sum(attempt.credits_charged or 0.0 for attempt in accounts.values()),
            stopped=self.stop.reason,
            errors=tuple(self._errors),
        )


def _published(request: ImageRequest) -> str:
    """The request as JSON for the ledger: an input URL without its query, which may be a secret."""
    fields = request.model_dump(exclude_defaults=True)
    if request.image_url is not None:
        fields["image_url"] = unsigned_url(request.image_url)
    return orjson.dumps(fields).decode()
