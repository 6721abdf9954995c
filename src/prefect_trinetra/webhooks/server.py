"""The receiver as a server of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from prefect_trinetra.webhooks.limits import Limits

__all__ = ["WebhookServer"]

MOST_HEAD_BYTES: Final = 16 * 1024
KEEP_ALIVE_SECONDS: Final = 15
# What is in the queue is still delivered.
GRACE_SECONDS: Final = 8


class WebhookServer(uvicorn.Server):
    """Serves `app` by `run()` until SIGINT or SIGTERM. Port 0 takes a free one; `announce` gets the URL that listens.

    No line of its log names a path, since the token is in it.
    """

    def __init__(
        self, app: ASGIApp, host: str, port: int, announce: Callable[[str], None], *, limits: Limits | None = None
    ) -> None:
        limits = limits or Limits()
        config = uvicorn.Config(
            app,
            host,
            port,
            http=type("PromptProtocol", (_PromptProtocol,), {"head_seconds": limits.head_seconds}),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        )
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host = self.config.host
            port = self.servers[0].sockets[0].getsockname()[1]
            self._announce(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


class _PromptProtocol(H11Protocol):
    """uvicorn's, that also closes a connection whose next request does not get as far as its body in time."""

    head_seconds: float
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        # uvicorn's own switch has no effect where the root logger has a handler.
        self.access_log = False
        super().connection_made(transport)
        self._time_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()

    def _time_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
