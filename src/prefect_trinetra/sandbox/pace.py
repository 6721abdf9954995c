"""The account's rate limit: a token bucket that holds one second's worth of submits."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["TokenBucket"]


class TokenBucket:
    """Admits `per_second` submits a second, the first second's worth at once; None admits all."""

    def __init__(self, per_second: float | None, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._clock = clock
        self._tokens = self._capacity
        self._filled_at = clock()

    def limit(self, per_second: float | None) -> None:
        """Admit so many a second from now on; what is saved up stays, up to a second's worth."""
        self._fill()
        self._per_second = per_second
        self._tokens = min(self._tokens, self._capacity)

    def take(self) -> float:
        """0 if a submit is admitted, else the seconds until one would be."""
        self._fill()
        if self._per_second is None:
            return 0.0
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return 0.0

    @property
    def _capacity(self) -> float:
        return max(1.0, self._per_second or 1.0)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * (self._per_second or 0.0))
        self._filled_at = now
