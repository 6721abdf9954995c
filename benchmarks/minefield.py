"""Where a run can be made to die or its storage to fail: each step of its paid work, before, half-way and after.

Laid in a process of its own, in place of the storage of this machine and of the provider's client. What it does to the
process it writes into a diary first, which outlives it.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, NoReturn

from mines import Gust, Mine, Moment, Place, Step, Weather, places_of

from prefect_trinetra import provider, storage, window
from prefect_trinetra.client import Download, TrinetraClient
from prefect_trinetra.errors import OutcomeUnknown
from prefect_trinetra.journal import Journal
from prefect_trinetra.local_files import LocalFiles, temporary_name
from prefect_trinetra.outcomes import Job
from prefect_trinetra.request import ImageRequest

# How long a POST or a download is under way when its process dies: about as long as the sandbox takes to answer.
UNDER_WAY_SECONDS: Final = 0.004


@dataclass
class Minefield:
    """What one process is to meet. `diary` is a descriptor that is open for appending."""

    dataset: Path
    spill_folder: Path
    diary: int
    mine: Mine | None = None
    weather: Weather | None = None
    _passed: Counter[Step] = field(default_factory=Counter)
    _calls: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def lay(self) -> None:
        """From now on this process's runs go through it."""
        MinedFiles.field = MinedClient.field = self
        vars(storage)["LocalFiles"] = MinedFiles
        vars(provider)["TrinetraClient"] = MinedClient
        vars(window)["Journal"] = partial(Journal, spill_folder=self.spill_folder)

    def note(self, kind: str, text: str) -> None:
        os.write(self.diary, f"{kind} {text}\n".encode())

    def arrive(self, places: Sequence[Place], moment: Moment, half: Callable[[], None] = lambda: None) -> None:
        """One passage; the last one of this process where the mine lies."""
        if self.is_due(places, moment):
            half()
            self.explode((self.mine.step[0] if self.mine else places[0], moment))

    def is_due(self, places: Sequence[Place], moment: Moment) -> bool:
        with self._counting:
            for place in places:
                self._passed[place, moment] += 1
            mine = self.mine
            if mine is None or mine.step[1] is not moment or mine.step[0] not in places:
                return False
            return self._passed[mine.step] == mine.passage

    def explode(self, step: Step) -> NoReturn:
        place, moment = step
        self.note("mine", f"{place.name} {moment.name}")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("a process outlived its SIGKILL")

    @contextmanager
    def storing(self, places: Sequence[Place], half: Callable[[], None] = lambda: None) -> Iterator[None]:
        """One call that changes the storage."""
        self.arrive(places, Moment.BEFORE)
        self.arrive(places, Moment.HALFWAY, half)
        match self._gust():
            case None:
                yield
                self.arrive(places, Moment.AFTER)
            case Gust.DENIED, error:
                yield
                raise error
            case gust, error:
                if gust is Gust.HALF_WRITTEN:
                    half()
                raise error

    def reading(self) -> None:
        """One call that reads."""
        if found := self._gust():
            raise found[1]

    def _gust(self) -> tuple[Gust, OSError] | None:
        with self._counting:
            self._calls += 1
            return self.weather.gust(self._calls) if self.weather else None


class MinedFiles(LocalFiles):
    """Files of this machine, on a minefield."""

    field: ClassVar[Minefield]

    async def read(self, path: str) -> bytes:
        self.field.reading()
        return await super().read(path)

    async def write(self, path: str, data: bytes, *, durable: bool) -> None:
        with self._writing(path, data):
            await super().write(path, data, durable=durable)

    def write_here(self, path: str, data: bytes) -> None:
        with self._writing(path, data):
            super().write_here(path, data)

    async def create(self, path: str, data: bytes) -> bool:
        with self._writing(path, data):
            return await super().create(path, data)

    async def sizes(self, folder: str) -> dict[str, int]:
        self.field.reading()
        return await super().sizes(folder)

    async def delete(self, path: str) -> None:
        is_journal = self._relative(path).startswith("journal/")
        with self.field.storing([Place.CLEARING] if is_journal else []):
            await super().delete(path)

    async def settle(self, paths: Sequence[str]) -> None:
        with self.field.storing([Place.SETTLING] if paths else []):
            await super().settle(paths)

    async def upload(self, local_path: Path, path: str) -> None:
        with self._writing(path, local_path.read_bytes()):  # noqa: ASYNC240  # a small file of this machine
            await super().upload(local_path, path)

    def _writing(self, path: str, data: bytes) -> Any:
        return self.field.storing(places_of(self._relative(path), data), lambda: _half(Path(path), data))

    def _relative(self, path: str) -> str:
        return path.removeprefix(f"{self.field.dataset}/")


def _half(path: Path, data: bytes) -> None:
    """What a writer that was cut off leaves behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / temporary_name()).write_bytes(data[: len(data) // 2])


class MinedClient(TrinetraClient):
    """The provider's client, on a minefield. It writes down each POST, its answer, and each answer that was lost."""

    field: ClassVar[Minefield]

    async def submit(self, request: ImageRequest, *, idempotency_key: str) -> Job:
        with self._calling(Place.POST):
            self.field.note("post", idempotency_key)
            try:
                job = await super().submit(request, idempotency_key=idempotency_key)
            except OutcomeUnknown:
                self.field.note("unanswered", idempotency_key)
                raise
            except Exception:
                self.field.note("answer", idempotency_key)
                raise
            self.field.note("answer", idempotency_key)
            return job

    async def get_job(self, job_id: str) -> Job:
        with self._calling(Place.LOOK):
            return await super().get_job(job_id)

    async def download(self, url: str) -> Download:
        with self._calling(Place.DOWNLOAD):
            return await super().download(url)

    @contextmanager
    def _calling(self, place: Place) -> Iterator[None]:
        self.field.arrive([place], Moment.BEFORE)
        is_last = self.field.is_due([place], Moment.HALFWAY)
        if is_last:
            wait = random.uniform(0.0, UNDER_WAY_SECONDS)  # noqa: S311  # no secret
            asyncio.get_running_loop().call_later(wait, self.field.explode, (place, Moment.HALFWAY))
        yield
        if is_last:
            self.field.explode((place, Moment.HALFWAY))
        self.field.arrive([place], Moment.AFTER)
