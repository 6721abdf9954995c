"""The provider, as an async client for one account: submit, look, download."""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Self
from urllib.parse import quote, urljoin

import orjson

from prefect_trinetra.acceptance import accepted_job
from prefect_trinetra.addresses import checked_output_url, may_connect, shown_host
from prefect_trinetra.answers import Answer, Download, downloaded, job_seen, redirect_target
from prefect_trinetra.errors import (
    ConfigurationError,
    DownloadDamaged,
    DownloadError,
    DownloadInterrupted,
    JobUnreadable,
    OutcomeUnknown,
    TrinetraError,
    Unavailable,
)
from prefect_trinetra.outcomes import Job
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.transport import Pool
from prefect_trinetra.troubles import Trouble, TroubleKind

__all__ = ["Download", "TrinetraClient"]

# Servers close idle connections after seconds; a POST on one that is just being closed would be unknown.
SUBMIT_IDLE_SECONDS: Final = 0.5
# A GET on a connection that turns out closed is made again by aiohttp itself.
IDLE_SECONDS: Final = 15.0
# More hops than any CDN takes.
MAX_REDIRECTS: Final = 5
# Both are a few hundred bytes; this only keeps a mad server from filling the memory.
MAX_ACCEPTANCE_BYTES: Final = 2**20
MAX_JOB_BYTES: Final = 4 * 2**20


class TrinetraClient:
    """The provider's API and its CDN, for one account. To be used within one event loop; closing twice is fine.

    Every wait ends: the time-outs are those of `settings`. Nothing is repeated here but a GET on a kept connection that
    turned out closed. The API key goes to the account's base URL only, never to the CDN nor across a redirect.
    """

    def __init__(self, account: Account, settings: TrinetraSettings) -> None:
        self.account = account
        self._settings = settings
        self._host = shown_host(account.base_url)
        self._loopback = account.is_loopback
        agent = ("User-Agent", f"prefect-trinetra/{_version()}")
        key = ("X-API-Key", account.api_key.get_secret_value())
        self._api_headers = [("Accept", "application/json"), ("Accept-Encoding", "identity"), agent, key]
        self._download_headers = [("Accept", "image/*"), ("Accept-Encoding", "identity"), agent]
        looks = max(1, settings.max_connections // 2)
        self.submit_connections = max(1, settings.max_connections - looks)
        pool = partial(Pool, connect_timeout_seconds=settings.connect_timeout_seconds)
        self._submits = pool(connections=self.submit_connections, idle_seconds=SUBMIT_IDLE_SECONDS)
        self._looks = pool(connections=looks, idle_seconds=IDLE_SECONDS)
        self._downloads = pool(
            connections=settings.max_connections,
            idle_seconds=IDLE_SECONDS,
            may_connect=partial(may_connect, loopback=self._loopback),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes every connection; calls under way fail, and the client is not used again."""
        await asyncio.gather(self._submits.aclose(), self._looks.aclose(), self._downloads.aclose())

    async def submit(self, request: ImageRequest, *, idempotency_key: str) -> Job:
        """POSTs a request, once.

        Raises RequestRefused, AccountRefused, RateLimited or Unavailable where it was certainly not accepted,
        ConfigurationError where the base URL is no usable address, OutcomeUnknown where nobody can tell.
        """
        seconds = self._settings.submit_timeout_seconds
        try:
            answer = await self._submits.ask(
                "POST",
                f"{self.account.base_url}/v1/image/{quote(request.model, safe='')}",
                [*self._api_headers, ("Content-Type", "application/json"), ("Idempotency-Key", idempotency_key)],
                content=orjson.dumps(request.body()),
                timeout_seconds=seconds,
                # The wait for a connection ends after `seconds` at the latest: past this total the POST was sent.
                total_seconds=2 * seconds,
                max_bytes=MAX_ACCEPTANCE_BYTES,
            )
        except Trouble as trouble:
            raise self._submit_error(trouble) from trouble.root
        return self._accepted(answer)

    def _accepted(self, answer: Answer) -> Job:
        try:
            return accepted_job(answer.status, answer.headers, answer.body, retry_503=self._settings.retry_503)
        except OutcomeUnknown as unknown:
            if answer.broken is None:
                raise
            raise OutcomeUnknown(f"{unknown}: {answer.broken}", reason_class=ReasonClass.NO_ANSWER) from None

    def _submit_error(self, trouble: Trouble) -> TrinetraError:
        match trouble.kind:
            case TroubleKind.MALFORMED:
                return ConfigurationError(f"base URL {self.account.base_url}: {trouble.words}. Check TRINETRA_BASE_URL")
            case TroubleKind.NOT_CONNECTED | TroubleKind.FORBIDDEN:
                return Unavailable(f"{self._host} could not be reached, nothing was sent: {trouble.words}")
            case TroubleKind.BROKEN:
                message = f"the POST to {self._host} may have arrived: {trouble.words}"
                return OutcomeUnknown(message, reason_class=ReasonClass.NO_ANSWER)

    async def get_job(self, job_id: str) -> Job:
        """Looks at a job. Raises JobUnreadable where another look may do, JobGone for 401, 403, 404 and 410."""
        seconds = self._settings.poll_timeout_seconds
        try:
            answer = await self._looks.ask(
                "GET",
                f"{self.account.base_url}/v1/jobs/{quote(job_id, safe='')}",
                self._api_headers,
                timeout_seconds=seconds,
                total_seconds=seconds,
                max_bytes=MAX_JOB_BYTES,
            )
        except Trouble as trouble:
            message = f"a look at job {job_id} on {self._host} failed: {trouble.words}"
            raise JobUnreadable(message, job_id=job_id) from trouble.root
        return job_seen(job_id, answer)

    async def download(self, url: str) -> Download:
        """An output's bytes as they are, fetched without the key, over at most five redirects.

        Only from https and public addresses; from this machine itself, and in clear, where the API is on it too.
        Raises DownloadInterrupted (the URL may work later), DownloadExpired (the job has a fresh one), DownloadDamaged.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._settings.download_timeout_seconds
        for _ in range(MAX_REDIRECTS + 1):
            checked_output_url(url, loopback=self._loopback)
            answer = await self._fetch(url, deadline - clock())
            target = redirect_target(answer)
            if target is None:
                return downloaded(shown_host(url), answer)
            url = _joined(url, target)
        message = f"{shown_host(url)} redirected more than {MAX_REDIRECTS} times"
        raise DownloadDamaged(message, reason_class=ReasonClass.BAD_OUTPUT_URL)

    async def _fetch(self, url: str, seconds: float) -> Answer:
        try:
            return await self._downloads.ask(
                "GET",
                url,
                self._download_headers,
                timeout_seconds=seconds,
                total_seconds=seconds,
                max_bytes=self._settings.max_image_bytes,
            )
        except Trouble as trouble:
            raise _download_error(shown_host(url), trouble) from trouble.root


def _download_error(host: str, trouble: Trouble) -> DownloadError:
    match trouble.kind:
        case TroubleKind.MALFORMED | TroubleKind.FORBIDDEN:
            message = f"the output on {host} is not fetched: {trouble.words}"
            return DownloadDamaged(message, reason_class=ReasonClass.BAD_OUTPUT_URL)
        case TroubleKind.NOT_CONNECTED | TroubleKind.BROKEN:
            return DownloadInterrupted(f"the download from {host} failed: {trouble.words}")


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError:
        message = f"{shown_host(url)} redirected to an address that is malformed"
        raise DownloadDamaged(message, reason_class=ReasonClass.BAD_OUTPUT_URL) from None


def _version() -> str:
    try:
        return version("prefect-trinetra")
    except PackageNotFoundError:  # run from its sources, not installed
        return "source"
