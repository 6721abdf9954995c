"""Waiting for a store that has answered before: a server that is restarted in mid-run ends no run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from prefect_trinetra.errors import StorageUnavailable

__all__ = ["Patience"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Longer than a server's restart or a network's hiccup; a store that is away longer is somebody's to look after.
PATIENCE_SECONDS: Final = 120.0
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 3.0


@dataclass
class Patience:
    """How long a call to one store is repeated while it is unavailable.

    Not at all until the store has answered once: a wrong address is told at once. For calls that may be repeated only.
    """

    seconds: float = PATIENCE_SECONDS
    has_answered: bool = False

    async def repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` returns or raises. Raises StorageUnavailable where the store stays away for too long."""
        until, pause = float("inf"), FIRST_PAUSE_SECONDS
        while True:
            try:
                result = await call()
            except FileNotFoundError:
                self.has_answered = True
                raise
            except StorageUnavailable as error:
                until = min(until, time.monotonic() + self.seconds)
                if not self.has_answered or time.monotonic() + pause > until:
                    raise
                logger.warning("%s; again in %.1f s", error, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self.has_answered = True
                return result
