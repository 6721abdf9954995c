"""What it costs to see jobs end, and how late they are seen: this poller against a look every two seconds.

The real client and poller against sandboxes in processes of their own, over HTTP and in real time. Looks and ends are
those of the sandboxes' bills; a delay is from a job's end to the moment its waiter was told.

    python benchmarks/polling.py                          everything, about 12 minutes
    python benchmarks/polling.py --only steady --jobs 2000 --patience 0.5 1 2
    python benchmarks/polling.py --only change outage --scale 0.25

Exits with 1 where a number of the contract is missed. For jobs of 20 s it is: at most 5.5 looks a job, half the ends
seen within 1 s and 95 % within 3.5 s; in proportion for others. After a change it holds for jobs that are submitted
once 50 of the new kind were seen to their end; the 500 that ended right after the first 50 are shown beside them. An
outage of the status endpoint loses no job, costs few looks, and ends without a storm.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, Protocol

from rich.console import Console
from rich.table import Table

from prefect_trinetra.client import TrinetraClient
from prefect_trinetra.errors import JobUnreadable
from prefect_trinetra.latencies import Schedule
from prefect_trinetra.outcomes import Job
from prefect_trinetra.polling import Poller
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.settings import Account, TrinetraSettings

JOB_SECONDS: Final = 20.0
MOST_LOOKS: Final = 5.5
# As parts of what jobs take: 1 s and 3.5 s of 20 s.
MEDIAN_PART: Final = 1.0 / 20
LATE_PART: Final = 3.5 / 20
# The first jobs pay for the knowledge.
LEARNING_JOBS: Final = 200
RELEARNING_JOBS: Final = 50
JOBS_AFTER_CHANGE: Final = 1000
FIXED_SECONDS: Final = 2.0
CHANGE_AT_SECONDS: Final = 60.0
OUTAGE_AT_SECONDS: Final = 60.0
# A third each of connections that are reset, of 500s and of silence.
OUTAGE_SECONDS: Final = 300.0
# The look under way when silence ends times out first, after a pause of up to 10 s another is made, then all.
RECOVERY_SECONDS: Final = 45.0
# Each job that waits is looked at once, and what falls due anyway.
MOST_LOOKS_IN_A_SECOND: Final = 1.5
MOST_LOOKS_IN_OUTAGE: Final = 1.0
POLL_TIMEOUT_SECONDS: Final = 30.0
DEADLINE_SECONDS: Final = 3600.0

Event = tuple[float, Callable[[SandboxHandle], None]]


class Waiter(Protocol):
    """A way to wait for a job."""

    async def wait(self, job_id: str, *, group: str, submitted_at: float, deadline: float) -> Job | None: ...


class FixedPoller:
    """The baseline: each job is looked at every two seconds."""

    def __init__(self, client: TrinetraClient) -> None:
        self._client = client

    async def wait(self, job_id: str, *, group: str, submitted_at: float, deadline: float) -> Job | None:  # as Poller's
        while time.monotonic() < deadline:
            await asyncio.sleep(FIXED_SECONDS)
            try:
                job = await self._client.get_job(job_id)
            except JobUnreadable:
                continue
            if job.is_terminal:
                return job
        return None


@dataclass(frozen=True)
class Seen:
    """One job: when it was submitted, ended and seen to have ended, in seconds since the start, and its looks."""

    submitted_at: float
    ended_at: float
    seen_at: float
    looks: int

    @property
    def delay(self) -> float:
        return self.seen_at - self.ended_at


@dataclass(frozen=True)
class Figures:
    """Of some jobs: looks a job, and the delay in seconds that half of them and 95 % stay below."""

    jobs: int
    looks: float
    median: float
    late: float

    @classmethod
    def of(cls, jobs: Sequence[Seen]) -> Figures:
        delays = sorted(job.delay for job in jobs)
        looks = statistics.fmean(job.looks for job in jobs)
        return cls(len(jobs), looks, statistics.median(delays), delays[int(0.95 * len(delays))])

    def misses(self, job_seconds: float) -> list[str]:
        """What of the contract they miss, in words."""
        limits = [
            ("looks a job", self.looks, MOST_LOOKS),
            ("s median delay", self.median, MEDIAN_PART * job_seconds),
            ("s delay of 95 %", self.late, LATE_PART * job_seconds),
        ]
        return [f"{value:.2f} {what}, more than {limit:.2f}" for what, value, limit in limits if value > limit]


@dataclass
class Course:
    """Jobs ordered from one sandbox and waited for, `in_flight` at once, while `events` happen to it."""

    name: str
    sandbox: SandboxHandle
    jobs: int
    in_flight: int
    patience: float | None = 1.0
    """None is the baseline."""
    events: Sequence[Event] = ()
    lost: int = 0
    look_seconds: Counter[int] = field(default_factory=Counter)
    """How many looks were made in each second since the start."""
    _started_at: float = 0.0
    _times: dict[str, tuple[float, float]] = field(default_factory=dict)

    async def run(self) -> list[Seen]:
        """All jobs in the order of their submission."""
        settings = TrinetraSettings(poll_timeout_seconds=POLL_TIMEOUT_SECONDS)
        self._started_at = time.time()
        async with TrinetraClient(Account.of(self.sandbox.api_key, self.sandbox.url), settings) as client:
            waiter = self._waiter(client)
            places = asyncio.Semaphore(self.in_flight)
            happening = asyncio.create_task(self._happen())
            await asyncio.gather(*(self._one(number, waiter, client, places) for number in range(self.jobs)))
            await happening
        bill = {job["id"]: job for job in (await asyncio.to_thread(self.sandbox.bill))["jobs"]}
        seen = [
            Seen(begun, bill[job_id]["ends_at"] - self._started_at, seen, bill[job_id]["looks"])
            for job_id, (begun, seen) in self._times.items()
        ]
        return sorted(seen, key=lambda job: job.submitted_at)

    def _now(self) -> float:
        return time.time() - self._started_at

    def _waiter(self, client: TrinetraClient) -> Waiter:
        if self.patience is None:
            return FixedPoller(client)

        async def look(job_id: str) -> Job:
            self.look_seconds[int(self._now())] += 1
            return await client.get_job(job_id)

        return Poller(look, schedule=Schedule(patience=self.patience))

    async def _happen(self) -> None:
        for seconds, event in self.events:
            await asyncio.sleep(seconds - self._now())
            await asyncio.to_thread(event, self.sandbox)

    async def _one(self, number: int, waiter: Waiter, client: TrinetraClient, places: asyncio.Semaphore) -> None:
        async with places:
            begun, now = self._now(), time.monotonic()
            job = await client.submit(ImageRequest(f"picture {number}", quality="low"), idempotency_key=str(number))
            seen = await waiter.wait(job.id, group="m/low", submitted_at=now, deadline=now + DEADLINE_SECONDS)
            self.lost += seen is None
            self._times[job.id] = (begun, self._now())


@dataclass
class Bench:
    """How large and how fast everything is. `scale` shortens the jobs, and the contract with them."""

    jobs: int
    in_flight: int
    scale: float
    stack: ExitStack
    table: Table
    missed: list[str] = field(default_factory=list)

    @property
    def job_seconds(self) -> float:
        return JOB_SECONDS * self.scale

    def course(self, name: str, jobs: int, patience: float | None = 1.0, events: Sequence[Event] = ()) -> Course:
        sandbox = self.stack.enter_context(running_sandbox(job_seconds=self.job_seconds, pictures="stamped", pixels=16))
        return Course(name, sandbox, jobs, self.in_flight, patience, events)

    def row(self, name: str, figures: Figures, misses: Sequence[str] | None) -> None:
        """Adds a row; `misses` is None where the contract says nothing."""
        verdict = "" if misses is None else "; ".join(misses) or "holds"
        numbers = (f"{figures.looks:.2f}", f"{figures.median:.2f}", f"{figures.late:.2f}")
        self.table.add_row(name, str(figures.jobs), *numbers, verdict)
        self.missed += [f"{name}: {miss}" for miss in misses or ()]

    async def steady(self, patience: Sequence[float]) -> None:
        """Jobs of one kind; the baseline and other values of patience at the same time."""
        courses = [self.course("steady, a look every 2 s", self.jobs, None)]
        courses += [self.course(f"steady, patience {each:g}", self.jobs, each) for each in patience]
        for course, seen in zip(courses, await asyncio.gather(*(each.run() for each in courses)), strict=True):
            figures = Figures.of(seen[LEARNING_JOBS:])
            self.row(course.name, figures, figures.misses(self.job_seconds) if course.patience == 1 else None)

    async def change(self, factor: float) -> None:
        """Jobs that take another time from one moment on."""
        new_seconds, moment = self.job_seconds * factor, CHANGE_AT_SECONDS * self.scale
        before = int(self.in_flight * moment / self.job_seconds)
        name = f"{self.job_seconds:g} s to {new_seconds:g} s"
        events = [(moment, lambda sandbox: sandbox.set_pace(new_seconds))]
        course = self.course(name, self.in_flight + before + JOBS_AFTER_CHANGE, events=events)
        new = [job for job in await course.run() if job.submitted_at > moment]
        learned_at = sorted(job.seen_at for job in new)[RELEARNING_JOBS - 1]
        by_end = sorted(new, key=lambda job: job.ended_at)
        self.row(f"{name}, the next 500", Figures.of(by_end[RELEARNING_JOBS:][:500]), None)
        figures = Figures.of([job for job in new if job.submitted_at > learned_at])
        self.row(f"{name}, re-learned", figures, figures.misses(new_seconds))

    async def outage(self) -> None:
        """Five minutes in which no look is answered."""
        third, end = OUTAGE_SECONDS / 3, OUTAGE_AT_SECONDS + OUTAGE_SECONDS
        events: list[Event] = [
            (OUTAGE_AT_SECONDS, lambda sandbox: sandbox.set_faults(poll_reset=1)),
            (OUTAGE_AT_SECONDS + third, lambda sandbox: sandbox.set_faults(poll_reset=0, poll_error=1)),
            (end - third, lambda sandbox: sandbox.set_faults(poll_error=0, poll_hang=1)),
            (end, lambda sandbox: sandbox.set_faults(poll_hang=0)),
        ]
        course = self.course("outage", self.jobs // 2, events=events)
        seen = await course.run()
        caught = [job for job in seen if job.seen_at > OUTAGE_AT_SECONDS and job.ended_at < end]
        last = max(job.seen_at for job in caught) - end
        during = sum(looks for second, looks in course.look_seconds.items() if OUTAGE_AT_SECONDS < second < end)
        after = max(looks for second, looks in course.look_seconds.items() if second >= end)
        print(
            f"outage: {during} looks in it, all {len(caught)} seen {last:.1f} s after it, most looks a second {after}"
        )
        limits = [
            ("jobs lost", course.lost, 0.0),
            ("s until all were seen", last, RECOVERY_SECONDS),
            ("looks in it for each waiting job", during / self.in_flight, MOST_LOOKS_IN_OUTAGE),
            ("looks in a second after it for each waiting job", after / self.in_flight, MOST_LOOKS_IN_A_SECOND),
        ]
        misses = [f"{value:.2f} {what}, more than {limit:g}" for what, value, limit in limits if value > limit]
        self.row("outage", Figures.of(caught), misses)


async def measure(bench: Bench, scenarios: Sequence[str], patience: Sequence[float]) -> None:
    if "steady" in scenarios:
        await bench.steady(patience)
    rest = []
    if "change" in scenarios:
        rest += [bench.change(0.25), bench.change(3.0)]
    if "outage" in scenarios:
        rest.append(bench.outage())
    await asyncio.gather(*rest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=["steady", "change", "outage"], default=["steady", "change", "outage"]
    )
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--scale", type=float, default=1.0, help="job times against 20 s; an outage stays as long")
    parser.add_argument("--patience", type=float, nargs="+", default=[0.5, 1.0, 2.0])
    given = parser.parse_args()
    table = Table(title=f"Jobs of {JOB_SECONDS * given.scale:g} s, {given.in_flight} in flight")
    for column in ("scenario", "jobs", "looks/job", "median delay s", "95 % delay s", "verdict"):
        table.add_column(column, justify="left" if column in {"scenario", "verdict"} else "right")
    with ExitStack() as stack:
        bench = Bench(given.jobs, given.in_flight, given.scale, stack, table)
        asyncio.run(measure(bench, given.only, given.patience))
    Console(width=150).print(table)
    sys.exit(1 if bench.missed else 0)


if __name__ == "__main__":
    main()
