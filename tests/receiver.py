"""The receiver of webhooks as a real server in this process, whose way out is a list instead of Prefect."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from prefect_trinetra.webhooks.limits import Limits
from prefect_trinetra.webhooks.outbox import Deliver
from prefect_trinetra.webhooks.receiver import webhook_app
from prefect_trinetra.webhooks.server import WebhookServer

START_SECONDS = 30.0
TOKEN = "a-token-that-is-long-enough-for-a-test"


@dataclass
class WayOut:
    """Where notices go: it can be shut for a while, or break off after each."""

    delivered: list[str] = field(default_factory=list)
    is_open: bool = True
    opened: int = 0
    breaks_after: int | None = None

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Deliver]:
        self.opened += 1
        left = self.breaks_after

        async def deliver(job_id: str) -> None:
            nonlocal left
            if left == 0 or not self.is_open:
                raise ConnectionResetError("the server went away")
            left = None if left is None else left - 1
            self.delivered.append(job_id)

        yield deliver


@dataclass(frozen=True)
class Address:
    """Where it listens."""

    port: int
    way_out: WayOut

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def webhook(self) -> str:
        return f"{self.url}/webhooks/{TOKEN}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextlib.contextmanager
def running_receiver(way_out: WayOut | None = None, **limits: float) -> Iterator[Address]:
    """As `prefect-trinetra webhooks serve` runs it, with other limits where they are named."""
    way_out, bounds = way_out or WayOut(), Limits(**limits)  # type: ignore[arg-type]  # names and numbers of Limits
    urls: queue.SimpleQueue[str] = queue.SimpleQueue()
    app = webhook_app(TOKEN, open_delivery=way_out.open, limits=bounds)
    server = WebhookServer(app, "127.0.0.1", 0, urls.put, limits=bounds)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield Address(int(urls.get(timeout=START_SECONDS).rpartition(":")[2]), way_out)
    finally:
        server.should_exit = True
        thread.join()


def answers(url: str) -> bool:
    """Whether a server there is well."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # loopback
            return bool(answer.status == 200)
    except OSError:
        return False
