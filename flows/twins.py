"""The async half of a pair of flows: the same function in a thread, so that the caller's event loop stays free."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final, ParamSpec, TypeVar

__all__ = ["async_twin", "stop_sign"]

P = ParamSpec("P")
R = TypeVar("R")

# What was ordered has to get into the journal; past this a cancelled flow ends without it.
GRACE_SECONDS: Final = 15.0
_stop_sign: Final[ContextVar[threading.Event | None]] = ContextVar("trinetra_stop_sign", default=None)


def stop_sign() -> threading.Event:
    """What is set when the async flow around this thread is cancelled: a thread can't be interrupted from outside."""
    return _stop_sign.get() or threading.Event()


def async_twin(function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """A coroutine function with the parameters and the documentation of `function`."""

    # Nothing of this module in it but a function: Dask and Ray send a flow's function to their workers as it is.
    @functools.wraps(function)
    async def twin(*args: P.args, **kwargs: P.kwargs) -> R:
        return await _in_thread(functools.partial(function, *args, **kwargs))

    twin.__name__ = twin.__qualname__ = f"a{function.__name__}"
    return twin


async def _in_thread(work: Callable[[], R]) -> R:
    """What `work` returns; cancelled, it is told to stop and waited for."""
    stop = threading.Event()
    _stop_sign.set(stop)
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        done, _ = await asyncio.wait([working], timeout=GRACE_SECONDS)
        for ended in done:
            ended.exception()  # it says RunStopped, which the cancellation says already
        raise
