"""Webhooks from end to end: sandbox, receiver, Prefect's server, a run of the flow; the bill is what counts."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from command import wait_until
from orchestra import credentials_of
from prefect_trinetra.flows import generate_dataset
from prefect_trinetra.hints import Hints
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.spec import RunLimits
from prefect_trinetra.webhooks.emission import open_events
from prefect_trinetra.webhooks.subscription import _Ear
from receiver import TOKEN, answers
from runs import bought_twice, outcomes, prompts, view
from server_process import ServerProcess, free_ports, running

pytestmark = [pytest.mark.slow, pytest.mark.prefect]

ROWS = 60
JOB_SECONDS = 3.0
FAULTS = (
    "webhook_lost",
    "webhook_late",
    "webhook_doubled",
    "webhook_early",
    "webhook_false",
    "webhook_stranger",
    "webhook_garbage",
)


@pytest.fixture(scope="module")
def webhook_url(prefect_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The receiver, as it is served."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "prefect_trinetra", "webhooks", "serve", "--port", str(port)]
    environment = {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "TRINETRA_WEBHOOK_TOKEN": TOKEN}
    log = tmp_path_factory.mktemp("receiver") / "log"
    url = f"http://127.0.0.1:{port}"
    with running(ServerProcess(command, lambda: answers(f"{url}/health"), log, environment)):
        yield f"{url}/webhooks/{TOKEN}"
    assert TOKEN not in log.read_text()


@pytest.fixture(scope="module")
def shop(webhook_url: str) -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=JOB_SECONDS, pixels=32, pictures="stamped", webhook_url=webhook_url) as sandbox:
        yield sandbox


def run(shop: SandboxHandle, dataset: Path) -> dict[str, int]:
    """A run whose account says that its webhooks become events; its outcomes."""
    credentials = credentials_of(shop).model_copy(update={"webhooks": True})
    report = generate_dataset(
        prompts(ROWS), str(dataset), credentials, row_tasks=0, limits=RunLimits(requests_per_minute=60_000)
    )
    return outcomes(report)


def test_a_run_waits_for_webhooks(shop: SandboxHandle, webhook_url: str, tmp_path: Path) -> None:
    """A look a job, and what the first three cost until it is known that webhooks come; else it is a run as any."""
    shop.reset()
    assert run(shop, tmp_path) == {"succeeded": ROWS}
    bill = shop.bill()
    assert (bill["images"], bill["credits"], bill["webhooks"]) == (ROWS, ROWS * 7, ROWS)
    # By polling it would be fourteen times the rows.
    assert bill["polls"] <= 1.1 * ROWS + 3 * 25
    assert webhook_url.encode() not in b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_webhooks_that_lie_change_nothing(shop: SandboxHandle, tmp_path: Path) -> None:
    """Lost, late, doubled, too early, false, about strangers, garbage: what is recorded is what the job says itself."""
    shop.reset()
    shop.set_faults(**dict.fromkeys(FAULTS, 0.4), webhook_flood=0.02)
    assert run(shop, tmp_path) == {"succeeded": ROWS}
    bill = shop.bill()
    assert {*FAULTS} <= {*bill["fault_hits"]}
    assert (bill["images"], bill["credits"], bill["key_leaks"]) == (ROWS, ROWS * 7, 0)
    assert not bought_twice(bill)
    assert sum(row["credits_charged"] for row in view(tmp_path, "metadata")) == ROWS * 7


@contextlib.asynccontextmanager
async def cuttable(url: str) -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """Another address of a server, and the ends of all connections through it: closed, they are cut."""
    parts, ends = urlsplit(url), list[asyncio.StreamWriter]()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, away = await asyncio.open_connection(parts.hostname, parts.port)
        ends.extend((writer, away))
        await asyncio.gather(pump(reader, away), pump(there, writer))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield f"{parts.scheme}://127.0.0.1:{port}{parts.path}", ends


class Heard:
    """Somebody who waits for jobs."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.changes = 0

    def wake(self, job_id: str) -> None:
        self.jobs.append(job_id)

    def replan(self) -> None:
        self.changes += 1


async def test_what_is_missed_is_told_later(prefect_server: Path) -> None:
    """The subscription breaks off, jobs end, it comes back: it tells of them, and says when it was deaf."""
    hints, heard = Hints(), Heard()
    hints.join(heard)
    direct = str(PREFECT_API_URL.value())
    async with cuttable(direct) as (url, ends):
        with temporary_settings({PREFECT_API_URL: url}):
            ear = _Ear(hints)
        await asyncio.wait_for(hints.wait_until_listening(), 60)
        async with open_events() as emit:
            await emit("job_heard")
            await until(lambda: "job_heard" in heard.jobs)
            for end in ends:
                end.close()
            await until(lambda: not hints.listening)
            await emit("job_missed")
        await asyncio.wait_for(hints.wait_until_listening(), 60)
        await until(lambda: "job_missed" in heard.jobs)
        assert heard.changes == 3
        ear.task.cancel()
        await asyncio.gather(ear.task, return_exceptions=True)
    assert not hints.listening


async def until(is_so: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, is_so, "it was so")
