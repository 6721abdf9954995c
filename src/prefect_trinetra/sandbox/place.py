"""The sandbox as one ASGI application: which counter serves which path."""

from __future__ import annotations

import time
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from prefect_trinetra.sandbox.api import ELSEWHERE_PREFIX, JOB_PREFIX, SUBMIT_PREFIX, ProviderApi
from prefect_trinetra.sandbox.book import Book
from prefect_trinetra.sandbox.cdn import CDN_PREFIX, Cdn, OutputUrls
from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.faults import FaultDice
from prefect_trinetra.sandbox.studio import Studio
from prefect_trinetra.sandbox.wire import Exchange, Links

__all__ = ["Counter", "Place"]


@dataclass(frozen=True)
class Counter:
    """All that a reset replaces: one account with its jobs and its chance."""

    dice: FaultDice
    book: Book
    urls: OutputUrls
    api: ProviderApi
    cdn: Cdn


class Place:
    """The application without the control endpoints. `links` are the server's open connections."""

    def __init__(self, config: SandboxConfig, links: Links) -> None:
        self._config = config
        self._links = links
        self._own_url = "http://127.0.0.1"
        self.counter = self._open()

    def opened_at(self, url: str) -> None:
        """Tell where the server listens: webhooks name outputs by it."""
        self._own_url = self.counter.urls.own_url = url

    def reset(self) -> None:
        """Begin anew: no jobs, the faults and the balance of the beginning."""
        self.counter = self._open()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answer if the path is the provider's; else leave it untouched and return False."""
        path, method, counter = scope["path"], scope["method"], self.counter
        if path.startswith(SUBMIT_PREFIX) and method == "POST":
            handler = counter.api.submit
        elif path.startswith(JOB_PREFIX) and method == "GET":
            handler = counter.api.look
        elif path.startswith(CDN_PREFIX) and method == "GET":
            handler = counter.cdn.download
        elif path.startswith(ELSEWHERE_PREFIX):
            handler = counter.api.elsewhere
        else:
            return False
        await handler(Exchange(scope, receive, send, self._links))
        return True

    def _open(self) -> Counter:
        dice = FaultDice(self._config.seed, self._config.faults)
        book = Book(self._config, dice, time.monotonic)
        urls = OutputUrls(self._config)
        urls.own_url = self._own_url
        api = ProviderApi(self._config, dice, book, urls)
        return Counter(dice, book, urls, api, Cdn(self._config, dice, book, urls, Studio(self._config)))
