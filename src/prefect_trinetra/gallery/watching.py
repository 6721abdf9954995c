"""A gallery that follows a run: written anew until the run has ended, or shows no more sign of life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from prefect_trinetra.gallery.writing import GalleryReport, write_round
from prefect_trinetra.holdings import DEAD_SECONDS, LeaseTimes, Sighting, Verdict
from prefect_trinetra.lease import DATASET_SCOPE, latest_generation, lease_path
from prefect_trinetra.storage import Storage

__all__ = ["watch_gallery"]

# From one writing's end to the next one's beginning; the writing itself takes up to 15 s.
PAUSE_SECONDS: Final = 10.0
# A run without a lease shows life by new images alone, and a job may take minutes.
SILENT_SECONDS: Final = 600.0


async def watch_gallery(
    storage: Storage, on_round: Callable[[GalleryReport], None] = lambda _: None, pause_seconds: float = PAUSE_SECONDS
) -> GalleryReport:
    """Writes the gallery until the run that is at work has ended, at most 30 seconds behind it.

    Where none is at work it is written once. Ends with a report that is not final where the run broke off. Raises
    DatasetError and StorageError.
    """
    signs = _Signs(storage)
    troubles: dict[str, str] = {}
    is_alive = True
    while True:
        report = await write_round(storage, troubles)
        on_round(report)
        if report.thumbnails_waiting:
            continue
        # A run that ends may publish between a look at its tables and one at its lease: the last look is at the tables.
        if report.is_final or not is_alive:
            return report
        is_alive = await signs.of_life(report)
        await asyncio.sleep(pause_seconds if is_alive else 0)


class _Signs:
    """What tells a run that is at work from one that died."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._sighting = Sighting()
        self._seen: tuple[int, int] = (0, 0)
        self._changed_at = time.monotonic()

    async def of_life(self, report: GalleryReport) -> bool:
        now = time.monotonic()
        if (report.items, report.images) != self._seen:
            self._seen, self._changed_at = (report.items, report.images), now
        generation = await latest_generation(self._storage, DATASET_SCOPE)
        if not generation:
            return now - self._changed_at < SILENT_SECONDS
        try:
            content = await self._storage.read(lease_path(DATASET_SCOPE, generation))
        except FileNotFoundError:  # cleared away by the run that came after it, in this moment
            return True
        self._sighting = self._sighting.then(generation, content, now)
        return self._sighting.verdict(now, LeaseTimes(DEAD_SECONDS)) is Verdict.HELD
