"""One job that is waited for: when it was seen, what came in between, and when to try again. No I/O."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Final

from prefect_trinetra.outcomes import Job
from prefect_trinetra.rates import Backoff

__all__ = ["Watch", "Watches"]

FIRST_BACKOFF_SECONDS: Final = 1.0
# After a false hint; the next one's is twice as long.
FIRST_PAUSE_SECONDS: Final = 0.5
# A job whose looks fail is looked at this often.
LONGEST_BACKOFF_SECONDS: Final = 30.0
# A fresh job may not be visible everywhere at once; after this time of 404s it is gone.
GONE_SECONDS: Final = 30.0
# Jobs of one kind that show at a time whether hints come.
SCOUTS: Final = 3


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
    """The age at which it was last seen running: 0 for a fresh job, None for a collected one until it was seen."""
    presumed_running: float = 0.0
    """The age up to which the silence of hints was taken for its running since the last look; 0 where it was not."""
    taught: float = 0.0
    """The age up to which its life is counted in what is known of such jobs."""
    on_schedule: bool = False
    """Its next look is where the schedule put it: no trouble, no hint."""
    backoff: Backoff = field(default=Backoff(FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS))
    gone_since: float | None = None
    is_scout: bool = False
    """Looked at as if there were no hints, as long as it is not known whether they come."""
    told: bool = False
    """A hint came since the last look began."""
    told_before: bool = False
    """One came before the last look, and no look saw it running since."""
    false_hints: int = 0
    """Looks that were made upon a hint and saw it running."""
    next_told_look: float = -inf
    """No hint brings a look before this: false ones make it later and later."""
    unlisted: Job | None = None
    """The last document, where its state is one that nobody lists."""

    @property
    def was_told(self) -> bool:
        """Whether a hint came before the last look's answer."""
        return self.told or self.told_before

    def begin_look(self) -> None:
        """A look is made: hints from now on are about what it may not see any more."""
        self.looked, self.told, self.told_before = True, False, self.told or self.told_before
        self.presumed_running = 0.0

    @property
    def owes_look(self) -> bool:
        """Whether it has to be looked at before it is given up: nobody has looked, or only hints were waited for."""
        return self.presumed_running > 0 or (self.collected and not self.looked)

    def runs(self, now: float) -> bool:
        """It was seen running; whether its first hint was false thereby, or only early."""
        self.seen_running, self.gone_since = now - self.submitted_at, None
        self.backoff = self.backoff.succeeded()
        if not self.told_before:
            return False
        self.told_before = False
        self.next_told_look = now + min(FIRST_PAUSE_SECONDS * 2**self.false_hints, LONGEST_BACKOFF_SECONDS)
        self.false_hints += 1
        return self.false_hints == 1

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


class Watches:
    """All that is waited for: by job, since several may wait for one, and the first few of each kind as scouts."""

    def __init__(self) -> None:
        self._of_job: dict[str, list[Watch]] = {}
        self._scouts: Counter[str] = Counter()

    @property
    def jobs(self) -> int:
        """How many jobs are waited for."""
        return len(self._of_job)

    def __iter__(self) -> Iterator[Watch]:
        return iter([watch for watches in self._of_job.values() for watch in watches])

    def of(self, job_id: str) -> list[Watch]:
        """Those of one job."""
        return self._of_job.get(job_id, [])

    def add(self, watch: Watch) -> None:
        watch.is_scout = self._scouts[watch.group] < SCOUTS
        self._scouts[watch.group] += watch.is_scout
        self._of_job.setdefault(watch.job_id, []).append(watch)

    def drop(self, watch: Watch) -> None:
        """Nobody waits for it any more."""
        watch.due = None
        self._scouts[watch.group] -= watch.is_scout
        self._of_job[watch.job_id].remove(watch)
        if not self._of_job[watch.job_id]:
            del self._of_job[watch.job_id]
