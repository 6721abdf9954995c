"""A job's outputs: fetched, verified, stored under a name that says what they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Executor
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from prefect_trinetra.client import Download
from prefect_trinetra.errors import (
    DownloadDamaged,
    DownloadError,
    DownloadExpired,
    JobError,
    StorageError,
)
from prefect_trinetra.images import VerifiedImage, image_extension, verify
from prefect_trinetra.outcomes import Job, Outcome, Output
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.storage import Storage, image_name
from prefect_trinetra.suspects import Wanted

__all__ = ["Collected", "LostImage", "OutputCollector", "StoredImage"]

# The same URL is asked for this often when the network fails, the pauses doubling from the first one.
INTERRUPTIONS: Final = 5
FIRST_PAUSE_SECONDS: Final = 0.5
# Damaged bytes: the URL once more (a cut connection looks like damage), then the job for a fresh one.
DAMAGES: Final = 3
# An expired URL: the job may give another, and a second one in case the first was on its last second.
EXPIRIES: Final = 3
# Output URLs may live for ten minutes only. One that was told longer ago is replaced before it is fetched: that leaves
# the download itself, and a queue at the CDN, five minutes.
URL_FRESH_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image, stored: `path` is relative to the folder it was stored under."""

    index: int
    path: str
    format: str
    width: int
    height: int
    bytes: int
    sha256: str
    suspect: str | None = None
    perceptual_hash: str | None = None


@dataclass(frozen=True, slots=True)
class LostImage:
    """One output without a stored image: damaged, expired, or pending (it may still be had)."""

    index: int
    reason_class: ReasonClass
    reason: str

    @property
    def outcome(self) -> Outcome:
        return self.reason_class.outcome


Collected = StoredImage | LostImage


class _Provider(Protocol):
    async def get_job(self, job_id: str) -> Job: ...
    async def download(self, url: str) -> Download: ...


class Decoder:
    """Verifies images in threads of its own, so that decoding never holds up the event loop."""

    def __init__(self, executor: Executor, *, max_pixels: int, placeholders: Collection[str] = ()) -> None:
        self._executor = executor
        self._max_pixels = max_pixels
        self._placeholders = placeholders

    async def verified(
        self, download: Download, parameters: ImageParameters, then: Callable[[VerifiedImage], None] = lambda _: None
    ) -> VerifiedImage:
        """What the bytes are; `then` is called with it in the same thread, since handing over costs 0.4 ms of CPU.

        Raises DownloadDamaged where they are no whole image.
        """

        def work() -> VerifiedImage:
            image = verify(
                download.data,
                content_type=download.content_type,
                wanted=Wanted(parameters.output_format, parameters.aspect_ratio, self._placeholders),
                max_pixels=self._max_pixels,
            )
            then(image)
            return image

        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


@dataclass(frozen=True)
class OutputCollector:
    """Brings a job's outputs home, one by one and side by side.

    `places` is the process's gate for downloads: an image is held whole from its first byte until it is stored, so the
    gate bounds their memory, too. Who waits for a place, or for another try, holds none. All times are in seconds.
    """

    provider: _Provider
    decoder: Decoder
    storage: Storage
    places: asyncio.Semaphore
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    now: Callable[[], float] = time.monotonic

    async def collect(self, job: Job, key: str, parameters: ImageParameters) -> list[Collected]:
        """Every output of a job that was just looked at, in its order: stored, or lost with an outcome and a reason."""
        urls = _Urls(self.provider, job.id, self.now, _Told(job.outputs, self.now()))
        return await asyncio.gather(
            *(self._collect_one(urls, index, key, parameters) for index in range(len(job.outputs)))
        )

    async def _collect_one(self, urls: _Urls, index: int, key: str, parameters: ImageParameters) -> Collected:
        told, spent = urls.told, -1
        if not (kind := told.outputs[index].type).lower().startswith("image"):
            return LostImage(index, ReasonClass.NOT_AN_IMAGE, f"output {index} is {kind[:40]!r}, not an image")
        troubles = _Troubles()
        while True:
            try:
                async with self.places:
                    told = await urls.told_after(spent)
                    return await self._fetch(told.outputs[index], index, key, parameters)
            except (DownloadError, JobError, StorageError) as error:
                remedy = troubles.after(error)
                if remedy is _Remedy.GIVE_UP:
                    return LostImage(index, _class_of(error), str(error))
            if remedy is _Remedy.FRESH_URL:
                spent = told.number
            await self.sleep(troubles.pause)

    async def _fetch(self, output: Output, index: int, key: str, parameters: ImageParameters) -> StoredImage:
        download = await self.provider.download(output.url)

        def path(image: VerifiedImage) -> str:
            return image_name(key, index, image.sha256, image_extension(image.format))

        # Not durable one by one: the engine settles a whole shard's images before it says that they are there.
        if self.storage.is_local:
            image = await self.decoder.verified(
                download, parameters, then=lambda image: self.storage.write_here(path(image), download.data)
            )
        else:
            image = await self.decoder.verified(download, parameters)
            await self.storage.write(path(image), download.data)
        return StoredImage(
            index,
            path(image),
            image.format,
            image.width,
            image.height,
            image.bytes,
            image.sha256,
            suspect=image.suspect,
            perceptual_hash=image.perceptual_hash,
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """A job's outputs as one look told them: when, and by which look."""

    outputs: tuple[Output, ...]
    at: float
    number: int = 0


@dataclass
class _Urls:
    """Where a job's outputs are. One look tells the URLs of all of them, whichever asked for it."""

    provider: _Provider
    job_id: str
    now: Callable[[], float]
    told: _Told
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def told_after(self, number: int) -> _Told:
        """What a later look than that told, not too long ago; the job is looked at where there was none.

        Raises JobError where that look fails. Only an old URL that was not tried yet is then handed out all the same:
        nobody documents how long they live.
        """
        async with self._turn:
            is_untried = self.told.number > number
            if not is_untried or self.now() - self.told.at > URL_FRESH_SECONDS:
                try:
                    outputs = (await self.provider.get_job(self.job_id)).outputs
                except JobError:
                    if not is_untried:
                        raise
                else:
                    # A document that shows fewer outputs takes none away.
                    known = self.told.outputs[len(outputs) :]
                    self.told = _Told(outputs + known, self.now(), self.told.number + 1)
            return self.told


class _Remedy(Enum):
    """What to do about an output that did not come."""

    SAME_URL = "same URL"
    FRESH_URL = "fresh URL"
    GIVE_UP = "give up"


def _class_of(error: DownloadError | JobError | StorageError) -> ReasonClass:
    """What an output is called that was given up; what may pass stays pending."""
    match error:
        case DownloadDamaged():
            return error.reason_class
        case DownloadExpired():
            return ReasonClass.URL_EXPIRED
        case StorageError():
            return ReasonClass.STORAGE_TROUBLE
        case _:
            return ReasonClass.DOWNLOAD_TROUBLE


@dataclass
class _Troubles:
    """What went wrong so far with one output, and when that is enough."""

    interruptions: int = 0
    damages: int = 0
    expiries: int = 0

    @property
    def pause(self) -> float:
        """Seconds to wait before the next try; an expired URL is simply replaced."""
        troubles = self.interruptions + self.damages
        return FIRST_PAUSE_SECONDS * 2.0 ** (troubles - 1) if troubles else 0.0

    def after(self, error: DownloadError | JobError | StorageError) -> _Remedy:
        """The remedy for one more trouble of this kind."""
        match error:
            case DownloadDamaged():
                self.damages += 1
                if self.damages >= DAMAGES:
                    return _Remedy.GIVE_UP
                return _Remedy.SAME_URL if self.damages == 1 else _Remedy.FRESH_URL
            case DownloadExpired():
                self.expiries += 1
                return _Remedy.GIVE_UP if self.expiries >= EXPIRIES else _Remedy.FRESH_URL
            case _:
                self.interruptions += 1
                return _Remedy.GIVE_UP if self.interruptions >= INTERRUPTIONS else _Remedy.SAME_URL
