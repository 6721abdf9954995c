"""The sandbox's web server: one process, one loop, gone without a trace when it is told to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.control import Control
from prefect_trinetra.sandbox.place import Place
from prefect_trinetra.sandbox.wire import Links, linked_protocol

__all__ = ["serve"]

# What still runs when the server is told to stop (a hanging answer, a slow download) is cut off after this.
GRACE_SECONDS: Final = 1
STDIN: Final = 0
# 10,000 clients may knock at once.
BACKLOG: Final = 16_384


def serve(
    config: SandboxConfig,
    host: str = "127.0.0.1",
    port: int = 0,
    announce: Callable[[str], None] | None = None,
    *,
    until_stdin_closes: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM. `announce` gets the URL once it really listens; port 0 takes a free one.

    With until_stdin_closes the server also ends when whoever holds the other end of stdin is gone.
    """
    links: Links = {}
    place = Place(config, links)
    settings = uvicorn.Config(
        _application(place),
        host,
        port,
        http=linked_protocol(links),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    # uvicorn's parameter is in whole seconds; its timer takes any.
    vars(settings)["timeout_keep_alive"] = config.keep_alive_seconds
    server = _AnnouncingServer(settings, place, announce)
    if until_stdin_closes:
        threading.Thread(target=_stop_at_end_of_stdin, args=(server,), daemon=True).start()
    _run(server)


class _AnnouncingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, place: Place, announce: Callable[[str], None] | None) -> None:
        super().__init__(config)
        self._place = place
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        url = f"http://{_in_url(self.config.host)}:{port}"
        self._place.opened_at(url)
        if self._announce is not None:
            self._announce(url)


def _run(server: uvicorn.Server) -> None:
    """Run it; a signal that ends it is then spent, so that the process ends with status 0."""
    if threading.current_thread() is not threading.main_thread():
        server.run()
        return
    before = {number: signal.signal(number, _spent) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _spent(_number: int, _frame: FrameType | None) -> None:
    """uvicorn raises the signal again after its shutdown; by then it has done its work."""


def _application(place: Place) -> ASGIApp:
    control = Control(place).router

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if not await place.serve(scope, receive, send):
            await control(scope, receive, send)

    return application


def _stop_at_end_of_stdin(server: uvicorn.Server) -> None:
    # Not sys.stdin: a thread that sits in its buffer would hold its lock while the interpreter ends.
    with contextlib.suppress(OSError):
        while os.read(STDIN, 1024):
            pass
    server.should_exit = True


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
