"""The threads in which blocking file-system calls run, so that none of them holds up an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Final, TypeVar

__all__ = ["in_thread"]

T = TypeVar("T")

# Enough for many fsyncs to share one commit of a disk's own journal; waiting threads cost next to nothing.
THREADS: Final = 16


async def in_thread(work: Callable[[], T]) -> T:
    """What `work()` returns or raises. It runs in a thread, from any event loop; cancelled, it still ends by itself."""
    return await asyncio.wrap_future(_submit(work))


def _submit(work: Callable[[], T]) -> Future[T]:
    try:
        return _pool().submit(work)
    except RuntimeError:
        # The interpreter is ending and starts nothing more in threads. A run's last journal segment may be written
        # as late as that, and nothing else needs this thread then.
        return _done_here(work)


def _done_here(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  # whoever awaits the future gets it, as from a thread
        future.set_exception(error)
    return future


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="trinetra-files")


# Threads don't survive a fork: the child makes its own.
os.register_at_fork(after_in_child=_pool.cache_clear)
