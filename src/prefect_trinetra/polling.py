"""Waiting for jobs: one scheduler with a heap of next looks for all of them, instead of a loop per job."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from prefect_trinetra.clock import Clock, MonotonicClock
from prefect_trinetra.errors import JobGone, JobUnreadable
from prefect_trinetra.latencies import Latencies, Schedule
from prefect_trinetra.outcomes import Job, JobState
from prefect_trinetra.rates import Backoff

__all__ = ["Poller", "PollingFigures"]

# More looks at once gain nothing: at 50 ms each this is 640 a second.
MOST_LOOKS_AT_ONCE: Final = 32
# Looks that fall due within one nap leave together; shorter naps would only wake the loop.
SHORTEST_NAP_SECONDS: Final = 0.005
FIRST_BACKOFF_SECONDS: Final = 1.0
# After an outage every job is looked at within this time.
LONGEST_BACKOFF_SECONDS: Final = 30.0
# A server's hint is honoured up to this; longer ones would let output URLs expire.
LONGEST_HINT_SECONDS: Final = 120.0
# A fresh job may not be visible everywhere at once; after this time of 404s it is gone.
GONE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class PollingFigures:
    """What polling has cost so far: looks made, and jobs seen to their end with them."""

    looks: int = 0
    ended: int = 0


@dataclass(eq=False, slots=True)
class _Watch:
    """One waiter's job. `due` is the time of its valid entry in the heap, None during a look."""

    job_id: str
    group: str
    submitted_at: float
    deadline: float
    answer: asyncio.Future[Job | None]
    collected: bool
    """Left by an earlier run: it gets a look whatever the deadline, and an end seen then teaches nothing."""
    looked: bool = False
    due: float | None = None
    seen_running: float | None = None
    backoff: Backoff = field(default=Backoff(FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS))
    gone_since: float | None = None
    told: bool = False
    unlisted: Job | None = None
    """The last document, where its state is one that nobody lists."""


class Poller:
    """Waits for jobs by looking at each as seldom as it can. All times are in seconds, on `clock`.

    One per process and account, used from one event loop. `look` is `TrinetraClient.get_job`.
    """

    def __init__(
        self,
        look: Callable[[str], Awaitable[Job]],
        *,
        clock: Clock | None = None,
        max_concurrent_looks: int = MOST_LOOKS_AT_ONCE,
        schedule: Schedule | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._look = look
        self._clock = clock or MonotonicClock()
        self._max_looks = max_concurrent_looks
        self._schedule = schedule or Schedule()
        self._chance = chance
        self._latencies = Latencies()
        self._heap: list[tuple[float, int, _Watch]] = []
        self._order = itertools.count()
        self._watches: dict[str, list[_Watch]] = {}
        self._looks: set[asyncio.Task[Job]] = set()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = 0.0
        self._quiet_until = self._clock.now()
        self.figures = PollingFigures()

    @property
    def waiting(self) -> int:
        """How many waits are open."""
        return sum(map(len, self._watches.values()))

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
        watch = _Watch(job_id, group, submitted_at, deadline, answer, collected=first_look_now)
        self._watches.setdefault(job_id, []).append(watch)
        self._put(watch, self._clock.now() if first_look_now else self._next_look(watch))
        try:
            return await answer
        finally:
            self._drop(watch)

    def wake(self, job_id: str) -> None:
        """A hint that the job ended: it is looked at now. Unknown ids are ignored: hints come from outside."""
        for watch in self._watches.get(job_id, ()):
            watch.told = True
            if watch.due is not None:
                self._put(watch, self._clock.now())

    async def aclose(self) -> None:
        """Stop looking; whoever still waits is cancelled. Twice is fine."""
        for watch in [watch for watches in self._watches.values() for watch in watches]:
            watch.answer.cancel()
        self._heap.clear()
        ending = [task for task in (*self._looks, self._alarm) if task is not None]
        self._alarm = None
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def _next_look(self, watch: _Watch) -> float:
        now = self._clock.now()
        wait = self._schedule.seconds_to_look(now - watch.submitted_at, self._latencies.of(watch.group))
        return min(now + wait, watch.deadline)

    def _put(self, watch: _Watch, due: float) -> None:
        watch.due = due
        heapq.heappush(self._heap, (due, next(self._order), watch))
        self._arm()

    def _drop(self, watch: _Watch) -> None:
        watch.due = None
        watches = self._watches[watch.job_id]
        watches.remove(watch)
        if not watches:
            del self._watches[watch.job_id]

    def _arm(self) -> None:
        """See to it that the next look is made in time; a full house is woken by the look that ends first."""
        if not self._heap or len(self._looks) >= self._max_looks:
            return
        due = max(self._heap[0][0], self._quiet_until)
        if self._alarm is not None:
            if self._alarm_at <= due:
                return
            self._alarm.cancel()
        self._alarm_at = due
        # An empty context: the alarm serves every waiter, not only the one who happened to set it.
        self._alarm = asyncio.create_task(self._ring(due), context=contextvars.Context())

    async def _ring(self, due: float) -> None:
        await self._clock.sleep(max(SHORTEST_NAP_SECONDS, due - self._clock.now()))
        self._alarm = None
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now and len(self._looks) < self._max_looks:
            due, _, watch = heapq.heappop(self._heap)
            # A later entry took this one's place, or nobody waits any more.
            if watch.due == due:
                self._serve(watch, now)
        self._arm()

    def _serve(self, watch: _Watch, now: float) -> None:
        if watch.answer.done():
            return
        if now >= watch.deadline and (watch.looked or not watch.collected):
            watch.answer.set_result(watch.unlisted)
            return
        watch.due, watch.looked = None, True
        self._start_look(watch)

    def _start_look(self, watch: _Watch) -> None:
        self.figures = PollingFigures(self.figures.looks + 1, self.figures.ended)
        look = asyncio.create_task(self._looked_at(watch.job_id), context=contextvars.Context())
        self._looks.add(look)
        look.add_done_callback(partial(self._judge, watch))

    async def _looked_at(self, job_id: str) -> Job:
        return await self._look(job_id)

    def _judge(self, watch: _Watch, look: asyncio.Task[Job]) -> None:
        self._looks.discard(look)
        if not watch.answer.done() and not look.cancelled():
            self._answer_or_look_again(watch, look)
        self._arm()

    def _answer_or_look_again(self, watch: _Watch, look: asyncio.Task[Job]) -> None:
        match look.exception():
            case None:
                self._read(watch, look.result())
            case JobUnreadable(retry_after_seconds=hint):
                self._look_after_trouble(watch, hint)
            case JobGone() as gone:
                self._look_for_the_gone(watch, gone)
            case error:
                watch.answer.set_exception(error)

    def _read(self, watch: _Watch, job: Job) -> None:
        age = self._clock.now() - watch.submitted_at
        if job.is_terminal:
            self._learn(watch, job, age)
            self.figures = PollingFigures(self.figures.looks, self.figures.ended + 1)
            watch.answer.set_result(job)
            return
        watch.seen_running, watch.gone_since, watch.told = age, None, False
        watch.unlisted = job if job.state is JobState.UNLISTED else None
        watch.backoff = watch.backoff.succeeded()
        self._put(watch, self._next_look(watch))

    def _learn(self, watch: _Watch, job: Job, age: float) -> None:
        # Failures are often quick (moderation) and would draw every first look forward.
        if job.state is JobState.SUCCEEDED and (watch.seen_running is not None or not watch.collected):
            seen_running = age if watch.told else watch.seen_running
            self._latencies.ended(watch.group, seen_running=seen_running, seen_ended=age)

    def _look_after_trouble(self, watch: _Watch, hint: float | None) -> None:
        now = self._clock.now()
        if hint is not None:
            self._quiet_until = max(self._quiet_until, now + min(hint, LONGEST_HINT_SECONDS))
        wait = watch.backoff.seconds(self._chance())
        watch.backoff = watch.backoff.failed()
        self._put(watch, min(now + wait, watch.deadline))

    def _look_for_the_gone(self, watch: _Watch, gone: JobGone) -> None:
        now = self._clock.now()
        if watch.gone_since is None:
            watch.gone_since = now
        if now - watch.gone_since >= GONE_SECONDS:
            watch.answer.set_exception(gone)
            return
        wait = watch.backoff.seconds(1.0)
        watch.backoff = watch.backoff.failed()
        self._put(watch, min(now + wait, watch.gone_since + GONE_SECONDS, watch.deadline))
