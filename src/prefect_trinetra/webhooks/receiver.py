"""The receiver: an ASGI app that takes the provider's POST, believes nothing but the id, and answers at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from prefect_trinetra.settings import load_settings
from prefect_trinetra.webhooks.limits import Limits
from prefect_trinetra.webhooks.notice import Notice, Unreadable, read_notice
from prefect_trinetra.webhooks.outbox import OpenDelivery, Outbox, Placed
from prefect_trinetra.webhooks.token import SecretToken

__all__ = ["HEALTH_PATH", "WEBHOOK_PATH", "webhook_app"]

HEALTH_PATH: Final = "/health"
WEBHOOK_PATH: Final = "/webhooks/{token}"
PLAIN_LIMITS: Final = Limits()


def webhook_app(
    token: SecretStr | str | None = None, *, open_delivery: OpenDelivery | None = None, limits: Limits = PLAIN_LIMITS
) -> Starlette:
    """The receiver, to serve or to mount: `POST /webhooks/TOKEN` and `GET /health`.

    `token` is TRINETRA_WEBHOOK_TOKEN's unless given. Each webhook becomes one Prefect event, unless `open_delivery`
    opens another way out. Raises ConfigurationError for a token that is missing or short.
    """
    secret = SecretToken(token or load_settings().webhook_token)
    outbox = Outbox(open_delivery or _to_prefect(), limits.waiting)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        outbox.start()
        try:
            yield
        finally:
            await outbox.aclose()

    routes = [Route(WEBHOOK_PATH, _Receiver(secret, outbox, limits)), Route(HEALTH_PATH, _health)]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


def _to_prefect() -> OpenDelivery:
    # Imported here: it brings all of Prefect.
    from prefect_trinetra.webhooks.emission import open_events

    return open_events


class _Receiver:
    """The address of the webhook. A wrong token is an unknown path."""

    def __init__(self, token: SecretToken, outbox: Outbox, limits: Limits) -> None:
        self._token = token
        self._outbox = outbox
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if not self._token.matches(request.path_params["token"]):
            raise HTTPException(404)
        try:
            response = self._placed(await _notice(request, self._limits))
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    def _placed(self, notice: Notice) -> Response:
        match self._outbox.put(notice):
            case Placed.TAKEN | Placed.REPEATED:
                return Response(status_code=202)
            case Placed.FULL:
                raise HTTPException(503, "too many webhooks wait: send it again", {"retry-after": "5"})


async def _notice(request: Request, limits: Limits) -> Notice:
    if request.method != "POST":
        raise HTTPException(405, headers={"allow": "POST"})
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HTTPException(415, "send application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "send it uncompressed")
    try:
        return read_notice(await _body(request, limits))
    except Unreadable as error:
        raise HTTPException(400, str(error)) from None


async def _body(request: Request, limits: Limits) -> bytes:
    """The body, as it comes and no longer than it may be."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.body_bytes:
        raise HTTPException(413, "a job document is smaller")
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    raise HTTPException(413, "a job document is smaller")
                parts.append(part)
    except TimeoutError:
        raise HTTPException(408) from None
    return b"".join(parts)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})
