"""How much of a rate limit is used, and how often it is run into: our pacer, a rate set by hand, and blind retries.

Real clients in processes of their own submit over HTTP to a sandbox that admits R submissions a second, one second's
worth at once, and answers 429 with `Retry-After` above. All courses run side by side, in real time.

    python benchmarks/pacing.py                                  everything, about 13 minutes
    python benchmarks/pacing.py --only unknown four --limits 2 20
    python benchmarks/pacing.py --scale 0.1                      a look at it; its numbers are not those of the contract

Courses: `known`, the limit is given to the run; `unknown`, it is not; `up` and `down`, it becomes 1.5 or 0.3 times as
much while the run goes on; `four`, four runs on one key. A rate set by hand is four fifths of the limit at the start.
Used is the part of the limit that was admitted: in the minute that begins 60 s after the start or the change, or, for
known limits and four runs, from then to the end. 429s are counted from the start or the change, over ten minutes.

Exits with 1 where our pacer misses a number of the contract.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from prefect_trinetra.client import TrinetraClient
from prefect_trinetra.errors import RateLimited
from prefect_trinetra.pacing import Pacer
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.settings import Account, TrinetraSettings

OURS: Final = "pacer"
BY_HAND: Final = "rate set by hand"
BLIND: Final = "blind retry"
# As many jobs in flight as a run has by default, at most.
SUBMITTERS: Final = 32
PART_SET_BY_HAND: Final = 0.8
BEFORE_CHANGE_SECONDS: Final = 150.0
# From when on the rate has to be found, and for how long it is looked at.
FOUND_SECONDS: Final = 60.0
MINUTE_SECONDS: Final = 60.0
COURSE_SECONDS: Final = 600.0
# Runs start within that time of each other.
START_SECONDS: Final = 5.0
LIMITS: Final = (2.0, 3.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True)
class Promise:
    """What the contract says: parts of the limit, and of all submissions."""

    used: float
    limited: float
    least: float = 0.0
    """Of a fair share, for each run."""


@dataclass(frozen=True)
class Kind:
    """A kind of course."""

    name: str
    promise: Promise
    factor: float = 1.0
    """The limit at the end as a part of that at the start."""
    runs: int = 1
    is_known: bool = False

    @property
    def whole(self) -> bool:
        """Whether the limit's use is judged to the end, not over one minute."""
        return self.is_known or self.runs > 1


KINDS: Final = (
    Kind("known", Promise(0.98, 0.005), is_known=True),
    Kind("unknown", Promise(0.9, 0.02)),
    Kind("up", Promise(0.9, 0.02), factor=1.5),
    Kind("down", Promise(0.9, 0.02), factor=0.3),
    Kind("four", Promise(0.9, 0.04, 0.5), runs=4),
)


@dataclass(frozen=True)
class Figures:
    """Of one course: parts of the limit, of all submissions, and of a fair share."""

    used: float
    limited: float
    least: float

    def misses(self, promise: Promise) -> list[str]:
        """What of the contract they miss, in words."""
        missed = []
        if self.used < promise.used:
            missed.append(f"{self.used:.1%} used, less than {promise.used:.0%}")
        if self.limited > promise.limited:
            missed.append(f"{self.limited:.2%} 429s, more than {promise.limited:.1%}")
        if self.least < promise.least:
            missed.append(f"a run had {self.least:.0%} of its share, less than {promise.least:.0%}")
        return missed


@dataclass
class Course:
    """One contender against one sandbox. `limit` is the one at the end, in submissions a second."""

    kind: Kind
    limit: float
    contender: str
    scale: float
    figures: Figures | None = None

    @property
    def _before(self) -> float:
        return BEFORE_CHANGE_SECONDS * self.scale if self.kind.factor != 1 else 0.0

    @property
    def _seconds(self) -> float:
        return self._before + COURSE_SECONDS * self.scale

    def run(self) -> None:
        """Takes place; blocks until it is over."""
        with ExitStack() as stack:
            limit = self.limit / self.kind.factor
            quick = {"job_seconds": 0, "pixels": 16, "pictures": "stamped"}
            sandbox = stack.enter_context(running_sandbox(requests_per_second=limit, **quick))
            begun_at = time.time()
            runs = [self._started(sandbox, limit, number) for number in range(self.kind.runs)]
            if self._before:
                time.sleep(self._before)
                sandbox.set_limit(self.limit)
            told = [json.loads(run.communicate()[0]) for run in runs]
        self.figures = self._judged(told, begun_at + self._before)

    def _started(self, sandbox: SandboxHandle, limit: float, number: int) -> subprocess.Popen[bytes]:
        late = START_SECONDS * self.scale * number / self.kind.runs
        rate = limit if self.kind.is_known else PART_SET_BY_HAND * limit
        words = [self.contender, sandbox.url, sandbox.api_key, rate, late, self._seconds, int(self.kind.is_known)]
        command = [sys.executable, str(Path(__file__).resolve()), "--run", *map(str, words)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def _judged(self, runs: Sequence[Sequence[tuple[float, bool]]], start: float) -> Figures:
        """From when each submission was answered, and whether it was accepted."""
        seconds = COURSE_SECONDS if self.kind.whole else FOUND_SECONDS + MINUTE_SECONDS
        first, last = start + FOUND_SECONDS * self.scale, start + seconds * self.scale
        accepted = [sum(first <= when < last for when, taken in run if taken) for run in runs]
        answers = [taken for run in runs for when, taken in run if start <= when < start + COURSE_SECONDS * self.scale]
        fair = self.limit * (last - first)
        return Figures(
            sum(accepted) / fair, answers.count(False) / max(1, len(answers)), min(accepted) * len(runs) / fair
        )


class Paced:
    """Submissions leave when a pacer lets them."""

    def __init__(self, rate: float | None) -> None:
        self._pacer = Pacer(submits_per_minute=None if rate is None else 60 * rate)

    async def admit(self, until: float) -> float | None:
        """When the next one may leave; None once `until` has passed."""
        return await self._pacer.admit_unless(lambda: time.monotonic() > until)

    def accepted(self, admitted_at: float) -> None:
        self._pacer.accepted(admitted_at=admitted_at)

    async def limited(self, admitted_at: float, seconds: float) -> None:
        self._pacer.pause(seconds, admitted_at=admitted_at, limited=True)


class Blind:
    """Submissions leave at once; who is told to wait waits for himself."""

    async def admit(self, until: float) -> float | None:
        now = time.monotonic()
        return now if now <= until else None

    def accepted(self, admitted_at: float) -> None:
        """Teaches it nothing."""

    async def limited(self, admitted_at: float, seconds: float) -> None:  # as Paced's
        await asyncio.sleep(seconds)


@dataclass
class Run:
    """One run's submissions, as its process makes them."""

    way: Paced | Blind
    until: float
    told: list[tuple[float, bool]] = field(default_factory=list)
    """When each submission was answered, and whether it was accepted."""

    async def take_place(self, account: Account) -> None:
        async with TrinetraClient(account, TrinetraSettings()) as client:
            await asyncio.gather(*(self._submit(client, number) for number in range(SUBMITTERS)))

    async def _submit(self, client: TrinetraClient, number: int) -> None:
        order = 0
        while (admitted_at := await self.way.admit(self.until)) is not None:
            order += 1
            request = ImageRequest(prompt=f"submitter {number}, order {order}", quality="low")
            try:
                await client.submit(request, idempotency_key=f"{number}-{order}")
            except RateLimited as error:
                self.told.append((time.time(), False))
                await self.way.limited(admitted_at, error.retry_after_seconds or 1.0)
            else:
                self.told.append((time.time(), True))
                self.way.accepted(admitted_at)


def be_a_run(words: Sequence[str]) -> None:
    """What a started process does."""
    contender, url, key, rate, late, seconds, known = words
    until = time.monotonic() + float(seconds)
    time.sleep(float(late))
    way = Blind() if contender == BLIND else Paced(float(rate) if known == "1" or contender == BY_HAND else None)
    run = Run(way, until)
    asyncio.run(run.take_place(Account.of(key, url)))
    json.dump(run.told, sys.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [kind.name for kind in KINDS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="kinds of courses")
    parser.add_argument("--limits", nargs="+", type=float, default=LIMITS, help="submissions a second, at the end")
    parser.add_argument("--baselines-at", type=float, default=5.0, help="the limit at which the baselines run, too")
    parser.add_argument("--scale", type=float, default=1.0, help="shortens every course")
    parser.add_argument("--run", nargs=7, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        be_a_run(given.run)
        return
    courses = [
        Course(kind, limit, contender, given.scale)
        for kind in KINDS
        if kind.name in given.only
        for limit in given.limits
        for contender in ((OURS, BY_HAND, BLIND) if limit == given.baselines_at else (OURS,))
    ]
    threads = [threading.Thread(target=course.run) for course in courses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit(1 if report(courses) else 0)


def report(courses: Sequence[Course]) -> list[str]:
    """Shows the figures; what our pacer missed, in words."""
    table = Table("course", "limit a second", "contender", "used", "429s", "least share", box=box.MARKDOWN)
    missed = []
    for course in courses:
        figures, name = course.figures, f"{course.kind.name} {course.limit:g}"
        if figures is None:
            missed.append(f"{name}: it broke off")
            continue
        least = f"{figures.least:.0%}" if course.kind.runs > 1 else ""
        shown = (f"{figures.used:.1%}", f"{figures.limited:.2%}", least)
        table.add_row(course.kind.name, f"{course.limit:g}", course.contender, *shown)
        if course.contender == OURS:
            missed += [f"{name}: {what}" for what in figures.misses(course.kind.promise)]
    console = Console(width=120)
    console.print(table)
    for what in missed:
        console.print(f"MISSED: {what}", markup=False)
    return missed


if __name__ == "__main__":
    main()
