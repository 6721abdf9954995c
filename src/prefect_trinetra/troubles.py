"""What can go wrong below an HTTP request, and whether anything can have been sent by then: one table."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

import aiohttp
import httpx
from aiohttp.http_exceptions import HttpProcessingError

__all__ = ["LOWER_ERRORS", "ForbiddenAddress", "Trouble", "TroubleKind", "trouble_of"]

# What a lower library says of itself, in a message of ours.
MAX_DETAIL_CHARACTERS: Final = 200


class TroubleKind(Enum):
    """How far a request got that brought no answer."""

    MALFORMED = "malformed"
    """The URL is none: nothing was sent, and never will be."""
    FORBIDDEN = "forbidden"
    """All addresses of the host are ones that may not be connected to: nothing was sent."""
    NOT_CONNECTED = "not connected"
    """The connection was certainly not made: nothing was sent."""
    BROKEN = "broken"
    """Anything else: the request may have arrived."""


class Trouble(Exception):
    """No answer. `words` say why, without the URL; `root` is the operating system's own error, if there was one."""

    def __init__(self, kind: TroubleKind, words: str, root: BaseException | None = None) -> None:
        super().__init__(words)
        self.kind = kind
        self.words = words
        self.root = root


class ForbiddenAddress(OSError):
    """Raised by a socket factory for an address that may not be connected to."""

    def __init__(self) -> None:
        # One text for every address: aiohappyeyeballs hands on the first of several equal errors, and joins others.
        super().__init__(errno.EACCES, "its address is not a public one")


# From the first row that fits any error in the chain of causes. httpx's types are not asked: httpx-aiohttp reports a
# server that read the body and hung up as a ConnectTimeout.
TROUBLES: Final[Sequence[tuple[tuple[type[BaseException], ...], TroubleKind, str]]] = (
    ((ForbiddenAddress,), TroubleKind.FORBIDDEN, "its address is not a public one"),
    ((aiohttp.InvalidURL, httpx.InvalidURL), TroubleKind.MALFORMED, "the address is malformed"),
    ((aiohttp.ConnectionTimeoutError,), TroubleKind.NOT_CONNECTED, "no connection was to be had in time"),
    ((aiohttp.ClientConnectorDNSError,), TroubleKind.NOT_CONNECTED, "the host name was not found"),
    ((aiohttp.ClientConnectorCertificateError,), TroubleKind.NOT_CONNECTED, "its certificate is not trusted"),
    ((aiohttp.ClientSSLError,), TroubleKind.NOT_CONNECTED, "no TLS connection came about"),
    ((aiohttp.ClientConnectorError,), TroubleKind.NOT_CONNECTED, "the connection was not made"),
    ((TimeoutError,), TroubleKind.BROKEN, "no whole answer came in time"),
    ((aiohttp.ServerDisconnectedError,), TroubleKind.BROKEN, "the server hung up before a whole answer"),
    ((aiohttp.ClientPayloadError,), TroubleKind.BROKEN, "the answer broke off"),
    ((aiohttp.ClientConnectionError, OSError), TroubleKind.BROKEN, "the connection broke"),
    # Also what httpx-aiohttp trips over in a status line that is no text.
    (
        (aiohttp.ClientError, HttpProcessingError, httpx.HTTPError, ValueError),
        TroubleKind.BROKEN,
        "the answer is not HTTP",
    ),
)
# All that aiohttp, httpx and httpx-aiohttp raise on their own account.
LOWER_ERRORS: Final = tuple({kind for kinds, _, _ in TROUBLES for kind in kinds})


def trouble_of(error: BaseException) -> Trouble:
    """What one of the LOWER_ERRORS means. Keeps of it only what holds neither the URL nor the key."""
    chain = list(_causes(error))
    root = _root(chain[-1])
    for kinds, kind, words in TROUBLES:
        if any(isinstance(cause, kinds) for cause in chain):
            return Trouble(kind, words + _detail(root), root)
    raise error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _root(deepest: BaseException) -> BaseException | None:
    # The libraries' own errors stay here: they hold the URL, and some of them the headers.
    if type(deepest).__module__.partition(".")[0] in {"httpx", "aiohttp", "prefect_trinetra"}:
        return None
    # The frames below hold the headers, and so the key: a traceback that shows local variables would print it.
    return deepest.with_traceback(None)


def _detail(root: BaseException | None) -> str:
    said = root.strerror if isinstance(root, OSError) else None
    return f" ({said[:MAX_DETAIL_CHARACTERS]})" if said else ""
