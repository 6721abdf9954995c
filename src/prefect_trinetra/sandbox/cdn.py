"""Where outputs are downloaded from: signed URLs that expire, and all that a CDN may answer instead of a picture."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import blake2b
from typing import Any, Final

from prefect_trinetra.sandbox.book import Book
from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.faults import FaultDice
from prefect_trinetra.sandbox.jobs import Job
from prefect_trinetra.sandbox.order import MODEL
from prefect_trinetra.sandbox.studio import Studio
from prefect_trinetra.sandbox.wire import Exchange

__all__ = ["CDN_PREFIX", "Cdn", "OutputUrls"]

CDN_PREFIX: Final = "/cdn/"
OUTPUT_PREFIX: Final = f"/cdn/out/{MODEL}/"
# The same outputs once more: where redirect_download points to.
EDGE_PREFIX: Final = f"/cdn/edge/{MODEL}/"
DEFAULT_LIFETIME_SECONDS: Final = 7 * 24 * 3600.0
OUTSIDE_URL: Final = "http://169.254.169.254/latest/meta-data/"
HTML_PAGE: Final = b"<!doctype html><title>One moment</title><p>Checking your browser before you go on.</p>"
OVERSIZED_PART: Final = bytes(64 * 1024)
# "Does not end" ends somewhere, so that a forgotten client can't fill a disk: 4 GiB.
OVERSIZED_PARTS: Final = 65_536

INSTEAD_OF_THE_PICTURE: Final = (
    "redirect_download",
    "redirect_outside",
    "truncated",
    "html",
    "empty_body",
    "slow_download",
    "oversized",
)


class OutputUrls:
    """Makes and checks output URLs. `own_url` is the server's address once it listens."""

    def __init__(self, config: SandboxConfig) -> None:
        self.own_url = "http://127.0.0.1"
        self._lifetime_seconds = config.url_lifetime_seconds or DEFAULT_LIFETIME_SECONDS
        self._secret = f"sandbox {config.seed}".encode()

    def document(self, job: Job, host: str | None) -> dict[str, Any]:
        """The job's document, with fresh URLs at the address the client came by once it has ended."""
        now = time.monotonic()
        if not job.ended(now):
            return job.document(now, [])
        job.issue += 1
        base_url = self.own_url if host is None else f"http://{host}"
        return job.document(now, [base_url + self._path(job, index) for index in range(job.final_images)])

    def grants(self, name: str, query: dict[str, str]) -> bool:
        """Whether the query is one of ours for this file name and still in time."""
        expires, issue = query.get("expires", "0"), query.get("issue", "0")
        genuine = query.get("signature") == self._signature(name, expires, issue)
        return genuine and time.time() < float(expires)

    def _path(self, job: Job, index: int) -> str:
        name = f"{job.id.rpartition('_')[2]}-{index}.{job.order.output_format}"
        expires, issue = f"{time.time() + self._lifetime_seconds:.3f}", str(job.issue)
        signature = self._signature(name, expires, issue)
        return f"{OUTPUT_PREFIX}{name}?expires={expires}&issue={issue}&signature={signature}"

    def _signature(self, name: str, expires: str, issue: str) -> str:
        signed = f"{name} {expires} {issue}".encode(errors="replace")
        return blake2b(signed, key=self._secret, digest_size=16).hexdigest()


class Cdn:
    """Serves outputs to whoever has a URL, and refuses whoever shows the API key."""

    def __init__(self, config: SandboxConfig, dice: FaultDice, book: Book, urls: OutputUrls, studio: Studio) -> None:
        self._config = config
        self._dice = dice
        self._book = book
        self._urls = urls
        self._studio = studio
        self._refused_issue: dict[str, int] = {}

    async def download(self, exchange: Exchange) -> None:
        """GET of an output."""
        self._book.traffic.downloads += 1
        if exchange.header(b"x-api-key") is not None:
            self._book.traffic.key_leaks += 1
            await exchange.answer_error(400, "key_leaked", "The API key must never be sent to the CDN.")
            return
        on_edge = exchange.path.startswith(EDGE_PREFIX)
        name = exchange.path.removeprefix(EDGE_PREFIX if on_edge else OUTPUT_PREFIX)
        query = exchange.query()
        found = self._find(name)
        if found is None:
            await exchange.answer_error(404, "not_found", "There is no such output.")
        elif not self._urls.grants(name, query) or self._is_refused(name, int(query["issue"])):
            await exchange.answer_error(403, "url_expired", "This URL is not valid, or no longer.")
        else:
            await self._serve(exchange, name, *found, on_edge=on_edge)

    def _find(self, name: str) -> tuple[Job, int] | None:
        stem, _, _ = name.partition(".")
        digest, _, index = stem.partition("-")
        job = self._book.jobs.get(f"job_{MODEL.replace('-', '')}_{digest}")
        if job is None or not index.isdecimal() or int(index) >= job.final_images:
            return None
        return job, int(index)

    def _is_refused(self, name: str, issue: int) -> bool:
        if self._dice.sticks("gone", name):
            return True
        if name not in self._refused_issue and self._dice.sticks("expired", name):
            self._refused_issue[name] = issue
        return issue <= self._refused_issue.get(name, 0)

    async def _serve(self, exchange: Exchange, name: str, job: Job, index: int, *, on_edge: bool) -> None:
        fault = None if on_edge else self._dice.first(INSTEAD_OF_THE_PICTURE, name)
        picture, content_type = await self._picture(name, job, index)
        if fault is None:
            await exchange.answer(200, picture, content_type)
            return
        edge_url = exchange.target.replace(OUTPUT_PREFIX, EDGE_PREFIX, 1)
        rude: dict[str, Callable[[], Awaitable[None]]] = {
            "redirect_download": lambda: exchange.answer(302, b"", content_type, {"location": edge_url}),
            "redirect_outside": lambda: exchange.answer(302, b"", content_type, {"location": OUTSIDE_URL}),
            "truncated": lambda: exchange.answer_half(200, picture, content_type),
            "html": lambda: exchange.answer(200, HTML_PAGE, b"text/html; charset=utf-8"),
            "empty_body": lambda: exchange.answer(200, b"", content_type),
            "slow_download": lambda: exchange.answer_slowly(
                picture, content_type, seconds=self._config.slow_download_seconds
            ),
            "oversized": lambda: exchange.answer_parts(_endless(picture), content_type),
        }
        await rude[fault]()

    async def _picture(self, name: str, job: Job, index: int) -> tuple[bytes, bytes]:
        output_format = job.order.output_format
        if self._dice.sticks("placeholder", name):
            picture = self._studio.placeholder(output_format)
        elif self._dice.sticks("flat", name):
            picture = self._studio.flat(job.order, index)
        else:
            wrong = self._dice.sticks("wrong_format", name)
            delivered = ("png" if output_format == "jpeg" else "jpeg") if wrong else output_format
            picture = await self._studio.picture(job, index, delivered)
        wrong_type = self._dice.sticks("wrong_type", name)
        return picture, b"application/octet-stream" if wrong_type else f"image/{output_format}".encode()


async def _endless(picture: bytes) -> AsyncIterator[bytes]:
    yield picture
    for _ in range(OVERSIZED_PARTS):
        yield OVERSIZED_PART
