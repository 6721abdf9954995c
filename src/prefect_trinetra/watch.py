"""One job that is waited for: when it was seen, what came in between, and when to try again. No I/O."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from prefect_trinetra.latencies import Latencies, Schedule
from prefect_trinetra.outcomes import Job, JobState
from prefect_trinetra.rates import Backoff

__all__ = ["Watch"]

FIRST_BACKOFF_SECONDS: Final = 1.0
# A job whose looks fail is looked at this often.
LONGEST_BACKOFF_SECONDS: Final = 30.0
# A fresh job may not be visible everywhere at once; after this time of 404s it is gone.
GONE_SECONDS: Final = 30.0


@dataclass(eq=False, slots=True)
class Watch:
    """One waiter's job. `due` is when it is looked at next, None during a look."""

    job_id: str
    group: str
    submitted_at: float
    deadline: float
    answer: asyncio.Future[Job | None]
    chance: float
    collected: bool
    """Left by an earlier run: it gets a look whatever the deadline."""
    due: float | None = None
    looked: bool = False
    seen_running: float | None = None
    """The age at which it was last known to run: 0 for a fresh job, None for a collected one until it was seen."""
    on_schedule: bool = False
    """Its next look is where the schedule put it: no trouble, no hint."""
    backoff: Backoff = field(default=Backoff(FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS))
    gone_since: float | None = None
    told: bool = False
    unlisted: Job | None = None
    """The last document, where its state is one that nobody lists."""

    def scheduled(self, schedule: Schedule, latencies: Latencies) -> float:
        """When to look next if all goes well; it may have passed already."""
        age = schedule.next_look(self.seen_running or 0.0, latencies.of(self.group), self.chance)
        return min(self.submitted_at + age, self.deadline)

    def teach(self, latencies: Latencies, job: Job, age: float) -> bool:
        """What a look at that age says about jobs of its kind; whether it says anything."""
        if self.seen_running is None:
            return False
        if not job.is_terminal:
            latencies.running(self.group, since=self.seen_running, until=age)
        # Failures are often quick (moderation) and would draw every first look forward.
        elif job.state is JobState.SUCCEEDED and self.told:
            latencies.running(self.group, since=self.seen_running, until=age)
            latencies.ended(self.group, since=age, until=age)
        elif job.state is JobState.SUCCEEDED:
            latencies.ended(self.group, since=self.seen_running, until=age)
        return True

    def runs(self, age: float) -> None:
        """It was seen running at that age."""
        self.seen_running, self.gone_since, self.told = age, None, False
        self.backoff = self.backoff.succeeded()

    def trouble(self, now: float, chance: float) -> float:
        """A look failed: when to try again."""
        wait = self.backoff.seconds(chance)
        self.backoff = self.backoff.failed()
        return min(now + wait, self.deadline)

    def denied(self, now: float) -> float | None:
        """The provider says that there is no such job: when to ask again, or None where it has said so long enough."""
        if self.gone_since is None:
            self.gone_since = now
        if now - self.gone_since >= GONE_SECONDS:
            return None
        return min(self.trouble(now, 1.0), self.gone_since + GONE_SECONDS)
