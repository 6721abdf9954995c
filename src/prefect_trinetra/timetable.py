"""When each job that is waited for is looked at next, by what is known of such jobs and of hints."""

from __future__ import annotations

from typing import assert_never

from prefect_trinetra.hearsay import Hearsay, Stance
from prefect_trinetra.latencies import Latencies, Schedule
from prefect_trinetra.outcomes import Job, JobState
from prefect_trinetra.watch import Watch

__all__ = ["Timetable"]


class Timetable:
    """Decides by the schedule, learned latencies and hints. Times are in seconds on the poller's clock."""

    def __init__(self, schedule: Schedule, hearsay: Hearsay | None) -> None:
        self._schedule = schedule
        self._hearsay = hearsay
        self._latencies = Latencies()

    def due(self, watch: Watch) -> float:
        """When to look at this job if all goes well; it may have passed already."""
        seen = max(watch.seen_running or 0.0, watch.presumed_running)
        age = self._schedule.next_look(seen, self._latencies.of(watch.group), watch.chance)
        return min(watch.submitted_at + age, watch.deadline)

    def passes_over(self, watch: Watch, now: float) -> bool:
        """Whether a job that is due needs no look yet, since its end would have been announced."""
        age = now - watch.submitted_at
        if watch.was_told or now >= watch.deadline or not self._waits_for_hint(watch):
            return False
        if age >= self._schedule.safety_look(watch.seen_running or 0.0, self._latencies.of(watch.group), watch.chance):
            return False
        watch.presumed_running = age
        if self._hearsay is not None and self._hearsay.is_heard:
            # Or only those that ended would count, and such jobs be taken for quicker than they are.
            self._latencies.presumed(watch.group, since=watch.taught, until=age)
            watch.taught = max(watch.taught, age)
        return True

    def learn(self, watch: Watch, job: Job, age: float) -> bool:
        """What a look at that age says about jobs of its kind; whether it says anything."""
        if watch.seen_running is None:
            watch.taught = age
            return False
        if not job.is_terminal:
            # What else brings a look, such as a false hint, may have to do with the job's end: no fair sample.
            if watch.on_schedule:
                self._passes_through(watch, age)
            return True
        # Failures are often quick (moderation) and would draw every first look forward.
        if job.state is JobState.SUCCEEDED:
            self._ended(watch, age)
        if self._hearsay is not None and self._is_evidence(watch):
            self._hearsay.ended(watch.job_id, announced=watch.was_told)
        return True

    def _ended(self, watch: Watch, age: float) -> None:
        seen = watch.seen_running or 0.0
        if watch.was_told and not watch.false_hints:
            self._latencies.ended_at(watch.group, since=watch.taught, moment=age)
        elif watch.taught <= seen:
            # Else its end lies in what was taken for its running, and nobody knows when.
            self._passes_through(watch, seen)
            self._latencies.ended(watch.group, since=seen, until=age)

    def _is_evidence(self, watch: Watch) -> bool:
        """Whether this job's end says something about hints: no false ones, and nobody who can only speak for them."""
        speaks_for = watch.was_told and not watch.is_scout and self._stance is Stance.TRY
        return not watch.false_hints and not speaks_for

    @property
    def _stance(self) -> Stance:
        return Stance.POLL if self._hearsay is None else self._hearsay.stance

    def _passes_through(self, watch: Watch, age: float) -> None:
        self._latencies.running(watch.group, since=watch.taught, until=age)
        watch.taught = max(watch.taught, age)

    def _waits_for_hint(self, watch: Watch) -> bool:
        # A job of an earlier run may have been announced then; one that was announced too early is not again.
        if watch.collected or watch.false_hints:
            return False
        match self._stance:
            case Stance.POLL:
                return False
            case Stance.TRY:
                return not watch.is_scout
            case Stance.RELY:
                return not (watch.is_scout and self._latencies.of(watch.group) is None)
            case stance:
                assert_never(stance)
