"""What webhooks save: looks at jobs, and the time until their end is seen, beside polling in the same minutes.

All real, on loopback: a sandbox for each row, `prefect-trinetra webhooks serve`, a Prefect server, the subscription and
a poller as runs have them. Looks and ends are those of the sandboxes' bills; a delay is from a job's end to the moment
its waiter was told.

    python benchmarks/webhooks.py                         about 6 minutes
    python benchmarks/webhooks.py --jobs 2000 --in-flight 200 --only polling webhooks lost
    python benchmarks/webhooks.py --flood 2000            that many at once: how soon each is answered, and is an event

Exits with 1 where a number of the contract is missed: with webhooks at most 1.1 looks a job and half the ends seen
within 0.5 s; with webhooks that are lost or lie no more looks than polling's contract has, and no later, give or take
the tenth that is chance among so few jobs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
from polling import LATE_PART, MEDIAN_PART, MOST_LOOKS, Figures, Seen
from prefect.client.orchestration import get_client
from prefect.events.filters import EventFilter
from prefect.settings import PREFECT_API_URL, temporary_settings
from rich.console import Console
from rich.table import Table

from prefect_trinetra.client import TrinetraClient
from prefect_trinetra.hints import hints_here
from prefect_trinetra.polling import Poller
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.webhooks.subscription import hear_webhooks

# What the tests start, too.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from receiver import answers
from server_process import ServerProcess, free_ports, running

MOST_LOOKS_WITH_WEBHOOKS: Final = 1.1
MEDIAN_SECONDS_WITH_WEBHOOKS: Final = 0.5
# Half the ends are seen within 0.97 s of 20 s by polling; among 500 jobs that figure is 0.05 s off by chance.
CHANCE_PART: Final = 0.1
DEADLINE_SECONDS: Final = 3600.0
SCENARIOS: Final[dict[str, dict[str, float] | None]] = {
    "polling": None,
    "webhooks": {},
    "doubled": {"webhook_doubled": 1},
    "lost": {"webhook_lost": 1},
    "half lost": {"webhook_lost": 0.5},
    "late": {"webhook_late": 1},
    "forged": {"webhook_early": 0.5, "webhook_false": 1, "webhook_stranger": 1, "webhook_garbage": 0.2},
}
# Those in which each job is announced at its end.
WHOLE: Final = {"webhooks", "doubled"}


@dataclass
class Course:
    """Jobs of one sandbox, `in_flight` at once."""

    name: str
    sandbox: SandboxHandle
    jobs: int
    in_flight: int
    _times: dict[str, tuple[float, float]] = field(default_factory=dict)

    async def run(self) -> list[Seen]:
        """All jobs in the order of their submission."""
        account = Account.of(self.sandbox.api_key, self.sandbox.url, webhooks=self.name != "polling")
        await hear_webhooks(account)
        async with TrinetraClient(account, TrinetraSettings()) as client:
            poller = Poller(client.get_job, hints=hints_here() if account.webhooks else None)
            places = asyncio.Semaphore(self.in_flight)
            await asyncio.gather(*(self._one(number, poller, client, places) for number in range(self.jobs)))
            await poller.aclose()
        bill = {job["id"]: job for job in (await asyncio.to_thread(self.sandbox.bill))["jobs"]}
        seen = [
            Seen(begun, bill[job_id]["ends_at"], seen, bill[job_id]["looks"])
            for job_id, (begun, seen) in self._times.items()
        ]
        return sorted(seen, key=lambda job: job.submitted_at)

    async def _one(self, number: int, poller: Poller, client: TrinetraClient, places: asyncio.Semaphore) -> None:
        async with places:
            begun, now = time.time(), time.monotonic()
            job = await client.submit(ImageRequest(f"picture {number}", quality="low"), idempotency_key=str(number))
            await poller.wait(job.id, group="m/low", submitted_at=now, deadline=now + DEADLINE_SECONDS)
            self._times[job.id] = (begun, time.time())


def misses(name: str, figures: Figures, job_seconds: float) -> list[str]:
    """What of the contract they miss, in words."""
    if name not in WHOLE:
        return replace(
            figures,
            looks=figures.looks / (1 + CHANCE_PART),
            median=figures.median / (1 + CHANCE_PART),
            late=figures.late / (1 + CHANCE_PART),
        ).misses(job_seconds)
    limits = [
        ("looks a job", figures.looks, MOST_LOOKS_WITH_WEBHOOKS),
        ("s median delay", figures.median, MEDIAN_SECONDS_WITH_WEBHOOKS),
    ]
    return [f"{value:.2f} {what}, more than {limit:g}" for what, value, limit in limits if value > limit]


@contextlib.contextmanager
def running_receiver(home: Path) -> Iterator[str]:
    """A Prefect server and the receiver of webhooks before it; the address that the provider is given."""
    server_port, port = free_ports(2)
    api_url, token = f"http://127.0.0.1:{server_port}/api", secrets.token_urlsafe(32)
    environment = {"PREFECT_HOME": str(home), "PREFECT_API_URL": api_url, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    serve = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(server_port)]
    receive = [sys.executable, "-m", "prefect_trinetra", "webhooks", "serve", "--port", str(port)]
    server = ServerProcess(serve, lambda: answers(f"{api_url}/health"), home / "server.log", environment)
    receiver = ServerProcess(
        receive,
        lambda: answers(f"http://127.0.0.1:{port}/health"),
        home / "receiver.log",
        environment | {"TRINETRA_WEBHOOK_TOKEN": token},
    )
    with running(server), running(receiver), temporary_settings({PREFECT_API_URL: api_url}):
        yield f"http://127.0.0.1:{port}/webhooks/{token}"


def flood(url: str, webhooks: int) -> str:
    """Sends so many by eight at once, and waits until all that were taken are events on the server."""
    bodies = [{"id": f"job_{number}", "status": "succeeded"} for number in range(webhooks)]

    def send(body: dict[str, str]) -> tuple[int, float]:
        begun = time.monotonic()
        status = http.post(url, json=body).status_code
        return status, time.monotonic() - begun

    found = EventFilter.model_validate({"event": {"name": ["trinetra.job.finished"]}})
    begun = time.monotonic()
    with httpx.Client(timeout=60) as http, ThreadPoolExecutor(8) as pool:
        answers_ = [*pool.map(send, bodies)]
    taken, waits = sum(status == 202 for status, _ in answers_), sorted(seconds for _, seconds in answers_)
    rate = webhooks / (time.monotonic() - begun)
    with get_client(sync_client=True) as client:
        while client.read_events(found, limit=1).total < taken:
            found.occurred.until = datetime.now(UTC) + timedelta(minutes=1)  # type: ignore[assignment]  # pydantic's kind
            time.sleep(0.5)
    half, nearly_all = (f"{1000 * waits[int(part * webhooks)]:.0f} ms" for part in (0.5, 0.99))
    return (
        f"{webhooks} webhooks, {rate:.0f} a second: {taken} taken, half answered within {half}, 99 % within "
        f"{nearly_all}, all events {time.monotonic() - begun:.0f} s after the first"
    )


async def measure(courses: Sequence[Course]) -> list[list[Seen]]:
    return list(await asyncio.gather(*(course.run() for course in courses)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*SCENARIOS], default=[*SCENARIOS])
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--in-flight", type=int, default=40)
    parser.add_argument("--job-seconds", type=float, default=20.0)
    parser.add_argument("--flood", type=int, help="only send so many webhooks at once")
    given = parser.parse_args()
    table = Table(title=f"{given.jobs} jobs of {given.job_seconds:g} s, {given.in_flight} in flight")
    for column in ("webhooks", "looks/job", "of all jobs", "median delay s", "95 % delay s", "verdict"):
        table.add_column(column, justify="left" if column in {"webhooks", "verdict"} else "right")
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(running_receiver(home))
        if given.flood:
            print(flood(url, given.flood))
            return
        courses = [
            Course(name, stack.enter_context(sandbox_of(name, url, given.job_seconds)), given.jobs, given.in_flight)
            for name in given.only
        ]
        results = asyncio.run(measure(courses))
    missed = False
    for course, seen in zip(courses, results, strict=True):
        # The first ones pay for the knowledge, as in benchmarks/polling.py.
        figures, of_all = Figures.of(seen[given.in_flight :]), Figures.of(seen)
        verdict = misses(course.name, figures, given.job_seconds)
        missed = missed or bool(verdict)
        numbers = (f"{figures.looks:.2f}", f"{of_all.looks:.2f}", f"{figures.median:.2f}", f"{figures.late:.2f}")
        table.add_row(course.name, *numbers, "; ".join(verdict) or "holds")
    Console(width=150).print(table)
    part = given.job_seconds
    print(f"polling's contract: {MOST_LOOKS:g} looks, {MEDIAN_PART * part:g} s, {LATE_PART * part:g} s")
    sys.exit(missed)


def sandbox_of(name: str, url: str, job_seconds: float) -> contextlib.AbstractContextManager[SandboxHandle]:
    """Each with a seed of its own, so that no two have a job of the same id."""
    options = {"job_seconds": job_seconds, "pictures": "stamped", "pixels": 16, "seed": [*SCENARIOS].index(name)}
    faults = SCENARIOS[name]
    if faults is None:
        return running_sandbox(**options)
    return running_sandbox(**options, webhook_url=url, faults=faults, webhook_late_seconds=5)


if __name__ == "__main__":
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    main()
