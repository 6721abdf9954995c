"""Equal calls that are made at the same time, or in the same flow run, share one: the first one's answer is theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from prefect_trinetra.errors import NotAccepted

__all__ = ["Flights"]

T = TypeVar("T")

# Enough for the rows of any flow that maps over tasks; older ones that have landed are forgotten.
REMEMBERED: Final = 50_000


class Flights(Generic[T]):
    """Calls by name. Used on one event loop.

    A call goes on when whoever waits for it is cancelled. One that was certainly not accepted may be made again; any
    other end, an unknown one above all, is the answer of every equal call.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._flights: dict[str, asyncio.Task[T]] = {}
        self._remembered = remembered

    async def share(self, name: str, start: Callable[[], Coroutine[Any, Any, T]], *, remember: bool) -> T:
        """The answer of the call `name`, begun now unless it is under way or (with `remember`) was made before."""
        flight = self._flights.get(name)
        if flight is None or _may_begin_again(flight, remember=remember):
            self._flights.pop(name, None)
            flight = self._flights[name] = asyncio.create_task(start())
            self._forget_oldest()
        return await asyncio.shield(flight)

    def _forget_oldest(self) -> None:
        if len(self._flights) > self._remembered:
            oldest = next((name for name, flight in self._flights.items() if flight.done()), None)
            if oldest is not None:
                del self._flights[oldest]


def _may_begin_again(flight: asyncio.Task[Any], *, remember: bool) -> bool:
    if not flight.done():
        return False
    if not remember or flight.cancelled():
        return True
    return isinstance(flight.exception(), NotAccepted)
