"""The provider as one process sees it: one client, one pacer, one poller and one set of gates for an account."""

from __future__ import annotations

import asyncio
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from prefect_trinetra.client import TrinetraClient
from prefect_trinetra.hints import hints_here
from prefect_trinetra.latencies import Schedule
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outputs import Decoder
from prefect_trinetra.pacing import InFlight, Pacer, SharedRate
from prefect_trinetra.polling import Poller
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.spec import RunLimits

__all__ = ["Provider", "provider_for"]

# Pillow decodes without the interpreter lock, so more threads than cores gain nothing.
DECODERS: Final = max(2, min(8, os.cpu_count() or 2))


class Provider:
    """What every shard of this process shares when it talks to one account. Lives on the I/O loop."""

    def __init__(
        self, account: Account, settings: TrinetraSettings, limits: RunLimits, shared: SharedRate | None = None
    ) -> None:
        self.account = account
        self.settings = settings
        self.client = TrinetraClient(account, settings)
        self.pacer = Pacer(
            submits_per_minute=limits.requests_per_minute, images_per_minute=limits.images_per_minute, shared=shared
        )
        self.in_flight = InFlight(limits.jobs_in_flight)
        self.posts = InFlight(self.client.submit_connections)
        self.poller = Poller(
            self.client.get_job,
            schedule=Schedule(patience=settings.poll_patience),
            hints=hints_here() if account.webhooks else None,
        )
        self.downloads = asyncio.Semaphore(settings.max_downloads)
        self._threads = ThreadPoolExecutor(DECODERS, thread_name_prefix="trinetra-decode")
        self.decoder = Decoder(
            self._threads, max_pixels=settings.max_image_pixels, placeholders=settings.placeholder_sha256s
        )

    async def aclose(self) -> None:
        await self.poller.aclose()
        await self.client.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)


_providers: dict[tuple[int, str], Provider] = {}


def provider_for(
    account: Account, settings: TrinetraSettings, limits: RunLimits, shared: SharedRate | None = None
) -> Provider:
    """This process's provider for an account under these limits, made on first use. Call it on the I/O loop.

    `shared` is the rate that other processes draw on as well; its name tells it from others.
    """
    rate = "" if shared is None else shared.name
    name = (id(asyncio.get_running_loop()), _fingerprint(account, settings, limits, rate))
    if name not in _providers:
        provider = Provider(account, settings, limits, shared)
        _providers[name] = provider
        io_loop().on_close(partial(_close, name))
    return _providers[name]


async def _close(name: tuple[int, str]) -> None:
    # Forgotten with its loop: a later loop may have the same id.
    await _providers.pop(name).aclose()


def _fingerprint(account: Account, settings: TrinetraSettings, limits: RunLimits, rate: str) -> str:
    secret = account.api_key.get_secret_value()
    words = settings.model_dump_json(), limits.model_dump_json()
    parts = [account.base_url, secret, str(account.webhooks), *words, rate]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
