"""What is due when: a heap whose entries may be moved. Pure."""

from __future__ import annotations

import heapq
import itertools
from typing import Generic, Protocol, TypeVar

__all__ = ["Agenda", "Dated"]


class Dated(Protocol):
    """Something with a date: the time it is due at, or None while it is due at none."""

    due: float | None


T = TypeVar("T", bound=Dated)


class Agenda(Generic[T]):
    """Things by the time they are due. One that is moved or dropped leaves an entry that is passed over later."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, T]] = []
        self._order = itertools.count()

    def put(self, thing: T, due: float) -> None:
        """It is due at that time, and no longer at any earlier named one."""
        thing.due = due
        heapq.heappush(self._entries, (due, next(self._order), thing))

    @property
    def next_due(self) -> float | None:
        """When something is due next, None where nothing is."""
        self._pass_over()
        return self._entries[0][0] if self._entries else None

    def take(self, now: float) -> T | None:
        """The first thing that is due by `now`, taken off the agenda, or None."""
        self._pass_over()
        if not self._entries or self._entries[0][0] > now:
            return None
        thing = heapq.heappop(self._entries)[2]
        thing.due = None
        return thing

    def clear(self) -> None:
        """Nothing is due any more."""
        self._entries.clear()

    def _pass_over(self) -> None:
        while self._entries and self._entries[0][2].due != self._entries[0][0]:
            heapq.heappop(self._entries)
