"""Waiting for jobs: one scheduler with a heap of next looks for all of them, instead of a loop per job."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from prefect_trinetra.agenda import Agenda
from prefect_trinetra.alarm import Alarm
from prefect_trinetra.clock import Clock, MonotonicClock
from prefect_trinetra.errors import JobGone, JobUnreadable
from prefect_trinetra.hearsay import Hearsay
from prefect_trinetra.hints import Hints
from prefect_trinetra.latencies import Schedule
from prefect_trinetra.outcomes import Job, JobState
from prefect_trinetra.reach import Reach
from prefect_trinetra.timetable import Timetable
from prefect_trinetra.watch import Watch, Watches

__all__ = ["Poller", "PollingFigures"]

# More looks at once gain nothing: at 50 ms each this is 640 a second.
MOST_LOOKS_AT_ONCE: Final = 32
# A server's hint is honoured up to this; longer ones would let output URLs expire.
LONGEST_HINT_SECONDS: Final = 120.0
# All jobs' next looks are set anew after so many looks, or after one for each so many jobs that wait: by then what is
# known may have changed, and it costs 3 microseconds a job.
LOOKS_PER_REVIEW: Final = 8
JOBS_PER_REVIEWED_LOOK: Final = 16
# A job's next look is moved when that changes the age it is made at by more than this part.
WORTH_MOVING_PART: Final = 0.02


@dataclass(frozen=True, slots=True)
class PollingFigures:
    """What polling has cost so far: looks made, and jobs seen to their end with them."""

    looks: int = 0
    ended: int = 0


class Poller:
    """Waits for jobs by looking at each as seldom as it can. All times are in seconds, on `clock`.

    One per process and account, used from one event loop. `look` is `TrinetraClient.get_job`. With `hints` a job whose
    end will be announced is looked at when that happens.
    """

    def __init__(
        self,
        look: Callable[[str], Awaitable[Job]],
        *,
        clock: Clock | None = None,
        max_concurrent_looks: int = MOST_LOOKS_AT_ONCE,
        schedule: Schedule | None = None,
        hints: Hints | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._look = look
        self._clock = clock or MonotonicClock()
        self._reach = Reach.whole(max_concurrent_looks)
        self._chance = chance
        self._hints = hints
        self._hearsay = None if hints is None else Hearsay(hints, self._clock, self.replan)
        self._timetable = Timetable(schedule or Schedule(), self._hearsay)
        self._agenda: Agenda[Watch] = Agenda()
        self._watches = Watches()
        self._looks: set[asyncio.Task[Job]] = set()
        self._alarm = Alarm(self._clock, self._look_at_what_is_due)
        self._quiet_until = self._clock.now()
        self._unreviewed = 0
        self.figures = PollingFigures()
        if hints is not None:
            hints.join(self)

    @property
    def waiting(self) -> int:
        """How many waits are open."""
        return sum(1 for _ in self._watches)

    async def wait(
        self, job_id: str, *, group: str, submitted_at: float, deadline: float, first_look_now: bool = False
    ) -> Job | None:
        """The job's first terminal document, or None when `deadline` passes without one.

        A job that was last seen in a state nobody lists is returned as it was then: it is not terminal.
        `group` ("model/quality") names jobs that take about as long. `first_look_now` is for a job of an
        earlier run: it is looked at once even where the deadline has passed. A look that is under way at the
        deadline is waited for. Raises JobGone when the provider denied for half a minute that the job exists.
        """
        answer: asyncio.Future[Job | None] = asyncio.get_running_loop().create_future()
        watch = Watch(job_id, group, submitted_at, deadline, answer, self._chance(), collected=first_look_now)
        self._watches.add(watch)
        watch.seen_running = None if first_look_now else 0.0
        watch.told = self._hearsay is not None and self._hearsay.was_said(job_id)
        if first_look_now or watch.told:
            self._put(watch, self._clock.now())
        else:
            self._schedule_look(watch)
        try:
            return await answer
        finally:
            self._watches.drop(watch)

    def wake(self, job_id: str) -> None:
        """A hint that the job ended: it is looked at now, unless such hints were false of late.

        One about a job that nobody waits for is remembered for a while, where this poller has hints.
        """
        watches = self._watches.of(job_id)
        if self._hearsay is not None:
            self._hearsay.said(job_id, awaited=bool(watches))
        for watch in watches:
            watch.told = True
            if watch.due is not None:
                self._look_as_told(watch)

    def replan(self) -> None:
        """Sets every next look anew by what is known now. A job may be due at once that was not before."""
        now = self._clock.now()
        for watch in self._watches:
            if watch.due is not None and watch.on_schedule:
                due = max(now, self._timetable.due(watch))
                if abs(due - watch.due) > WORTH_MOVING_PART * (due - watch.submitted_at):
                    self._agenda.put(watch, due)
        self._arm()

    async def aclose(self) -> None:
        """Stop looking; whoever still waits is cancelled. Twice is fine."""
        for watch in self._watches:
            watch.answer.cancel()
        self._agenda.clear()
        for look in self._looks:
            look.cancel()
        await asyncio.gather(self._alarm.aclose(), *self._looks, return_exceptions=True)
        if self._hints is not None and self._hearsay is not None:
            self._hints.leave(self)
            await self._hearsay.aclose()

    def _schedule_look(self, watch: Watch) -> None:
        self._put(watch, max(self._timetable.due(watch), self._clock.now()))
        watch.on_schedule = True

    def _look_as_told(self, watch: Watch) -> None:
        due = max(watch.next_told_look, self._clock.now())
        if watch.due is None or due < watch.due:
            self._put(watch, due)

    def _put(self, watch: Watch, due: float) -> None:
        watch.on_schedule = False
        self._agenda.put(watch, due)
        self._arm()

    def _arm(self) -> None:
        """See to it that the next look is made in time; a full house is woken by the look that ends first."""
        next_due = self._agenda.next_due
        if next_due is not None and len(self._looks) < self._reach.at_once:
            self._alarm.set(max(next_due, self._quiet_until))

    def _look_at_what_is_due(self) -> None:
        now = self._clock.now()
        while len(self._looks) < self._reach.at_once and (watch := self._agenda.take(now)) is not None:
            self._serve(watch, now)
        self._arm()

    def _serve(self, watch: Watch, now: float) -> None:
        if watch.answer.done():
            return
        if now >= watch.deadline and not watch.owes_look:
            watch.answer.set_result(watch.unlisted)
            return
        if self._timetable.passes_over(watch, now):
            self._schedule_look(watch)
            return
        watch.begin_look()
        self.figures = PollingFigures(self.figures.looks + 1, self.figures.ended)
        look = asyncio.create_task(self._looked_at(watch.job_id), context=contextvars.Context())
        self._looks.add(look)
        look.add_done_callback(partial(self._judge, watch))

    async def _looked_at(self, job_id: str) -> Job:
        return await self._look(job_id)

    def _judge(self, watch: Watch, look: asyncio.Task[Job]) -> None:
        self._looks.discard(look)
        if not look.cancelled():
            self._measure(look.exception())
            if not watch.answer.done():
                self._answer_or_look_again(watch, look)
        self._arm()

    def _measure(self, error: BaseException | None) -> None:
        """What a look says about the status endpoint: who it does not answer is looked at when it is back."""
        if isinstance(error, JobUnreadable):
            self._reach = self._reach.failed(alone=not self._looks)
            self._be_quiet(self._reach.pause_seconds(self._chance()))
            return
        was_out, self._reach = self._reach.is_out, self._reach.answered()
        if was_out:
            for watch in self._watches:
                if watch.due is not None and watch.backoff.failures:
                    self._put(watch, self._clock.now())

    def _be_quiet(self, seconds: float) -> None:
        self._quiet_until = max(self._quiet_until, self._clock.now() + seconds)

    def _answer_or_look_again(self, watch: Watch, look: asyncio.Task[Job]) -> None:
        match look.exception():
            case None:
                self._read(watch, look.result())
            case JobUnreadable(retry_after_seconds=hint):
                self._be_quiet(min(hint or 0.0, LONGEST_HINT_SECONDS))
                self._put(watch, watch.trouble(self._clock.now(), self._chance()))
            case JobGone() as gone:
                if (again := watch.denied(self._clock.now())) is None:
                    watch.answer.set_exception(gone)
                else:
                    self._put(watch, again)
            case error:
                watch.answer.set_exception(error)

    def _read(self, watch: Watch, job: Job) -> None:
        age = self._clock.now() - watch.submitted_at
        if self._timetable.learn(watch, job, age):
            self._review()
        if job.is_terminal:
            self.figures = PollingFigures(self.figures.looks, self.figures.ended + 1)
            watch.answer.set_result(job)
            return
        first_false_hint = watch.runs(self._clock.now())
        watch.unlisted = job if job.state is JobState.UNLISTED else None
        self._schedule_look(watch)
        # Where a job's document lags behind its webhook, the next look sees the end.
        if watch.told or first_false_hint:
            self._look_as_told(watch)

    def _review(self) -> None:
        """Now and then: what a look taught may move other jobs' looks."""
        self._unreviewed += 1
        if self._unreviewed >= max(LOOKS_PER_REVIEW, self._watches.jobs // JOBS_PER_REVIEWED_LOOK):
            self._unreviewed = 0
            self.replan()
