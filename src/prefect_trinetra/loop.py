"""The process's one I/O loop: a thread to which every other thread and event loop hands its coroutines."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

__all__ = ["IOLoop", "io_loop"]

T = TypeVar("T")
Closer = Callable[[], Awaitable[None]]

# An exception that is thrown into a waiting thread (Prefect's time-outs) is seen only between two waits.
WAIT_SLICE_SECONDS: Final = 1.0
# What is interrupted may still make its journal durable; past this the process ends without it.
GRACE_SECONDS: Final = 10.0
# For all closers together: closing connections takes milliseconds, and an exit must not hang on a dead peer.
CLOSE_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class IOLoop:
    """One event loop in a daemon thread named `trinetra-io`. All times are in seconds.

    What runs on it sees the context variables of who handed it over.
    """

    def __init__(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        self._grace_seconds = grace_seconds
        self._loop = asyncio.new_event_loop()
        self._closers: list[Closer] = []
        self._closing = threading.Lock()
        self.closed = False
        self._thread = threading.Thread(target=self._serve, name="trinetra-io", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and wait for it, from any thread but the loop's own.

        Whatever interrupts the wait (Ctrl-C, a time-out thrown into this thread) cancels the coroutine, waits
        up to ten seconds for it to end, and is raised again. Where another event loop runs in this thread it
        stands still meanwhile. Raises RuntimeError on the loop's own thread and when the loop is closed, and
        concurrent.futures.CancelledError when it closes before the coroutine is through.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("this is the I/O loop's own thread: await the coroutine instead of run()")
        call = self._call(coroutine)
        try:
            # Inside, since the work may be well under way, and Ctrl-C here, before this returns.
            call.start()
            while not call.ended.done():
                concurrent.futures.wait([call.ended], timeout=WAIT_SLICE_SECONDS)
        except BaseException as interruption:
            _stop_and_wait(call, interruption, self._grace_seconds)
            raise
        return call.ended.result()

    async def arun(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and await it from another one; on the loop itself it is just awaited.

        A cancellation goes in: it is raised here once the coroutine has ended, at most ten seconds later. If
        the coroutine then ends with an error, that one is raised in its place.
        """
        if asyncio.get_running_loop() is self._loop:
            return await coroutine
        call = self._call(coroutine)
        call.start()
        ended = asyncio.wrap_future(call.ended)
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            call.cancel()
            done, _ = await asyncio.wait([ended], timeout=self._grace_seconds)
            if done and not ended.cancelled() and (error := ended.exception()) is not None:
                raise error from None
            raise

    def on_close(self, closer: Closer) -> None:
        """Have `closer` awaited on the loop when it closes; the last registered comes first."""
        self._closers.append(closer)

    def close(self) -> None:
        """Cancel what runs, await the closers, end the thread. Happens by itself at exit; twice is fine."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("the I/O loop can't be closed from its own thread")
        with self._closing:
            if self.closed:
                return
            self.closed = True
        winding_down = asyncio.run_coroutine_threadsafe(self._wind_down(), self._loop)
        concurrent.futures.wait([winding_down], timeout=self._grace_seconds + CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=WAIT_SLICE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> _Call[T]:
        if self.closed:
            coroutine.close()
            raise RuntimeError("the I/O loop is closed: this process is ending")
        return _Call(self._loop, coroutine)

    async def _wind_down(self) -> None:
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=self._grace_seconds)
        while self._closers:
            await self._close_one(self._closers.pop())
        await self._loop.shutdown_asyncgens()

    async def _close_one(self, closer: Closer) -> None:
        closing = asyncio.ensure_future(closer())
        await asyncio.wait([closing], timeout=CLOSE_SECONDS)
        if not closing.done():
            closing.cancel()
            _log.warning("%r did not close within %g s and was left", closer, CLOSE_SECONDS)
        elif not closing.cancelled() and (error := closing.exception()) is not None:
            _log.warning("closing failed: %r", error, exc_info=error)


class _Call(Generic[T]):
    """One coroutine on the loop. `ended` is settled only when it really ended, also after a cancellation."""

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> None:
        self.ended: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._loop = loop
        self._coroutine = coroutine
        self._task: asyncio.Task[T] | None = None

    def start(self) -> None:
        """Begin; from any thread."""
        self._loop.call_soon_threadsafe(self._start)

    def cancel(self) -> None:
        """Ask the coroutine to stop, or never to begin; from any thread."""
        self._loop.call_soon_threadsafe(self._cancel)

    def _start(self) -> None:
        self._task = self._loop.create_task(self._coroutine)
        self._task.add_done_callback(self._end)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            return
        # The loop runs callbacks in the order they came, so the start was interrupted before it got there.
        self._coroutine.close()
        self._end_cancelled()

    def _end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._end_cancelled()
        elif (error := task.exception()) is not None:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(task.result())

    def _end_cancelled(self) -> None:
        self.ended.cancel()
        self.ended.set_running_or_notify_cancel()


def _stop_and_wait(call: _Call[Any], interruption: BaseException, grace_seconds: float) -> None:
    if call.ended.done():
        return
    call.cancel()
    concurrent.futures.wait([call.ended], timeout=grace_seconds)
    if not call.ended.done():
        interruption.add_note(f"what was interrupted did not stop within {grace_seconds:g} s and was left")
    elif not call.ended.cancelled() and (error := call.ended.exception()) is not None:
        interruption.add_note(f"while stopping: {error!r}")


class _Process:
    """What this process knows of its loop. A forked child starts with a fresh one."""

    def __init__(self) -> None:
        self.making = threading.Lock()
        self.loop: IOLoop | None = None
        # A parent's loop shares its file descriptors with us: kept unused, so that nothing here closes them.
        self.inherited: list[IOLoop] = []


_process = _Process()


def io_loop() -> IOLoop:
    """This process's loop, made on first use, again after a fork, and closed when the process ends."""
    with _process.making:
        if _process.loop is None or _process.loop.closed:
            _process.loop = IOLoop()
        return _process.loop


def _start_afresh_in_child() -> None:
    inherited = _process.loop
    _process.making = threading.Lock()
    _process.loop = None
    if inherited is not None:
        _process.inherited.append(inherited)


def _close_at_exit() -> None:
    if _process.loop is not None:
        _process.loop.close()


atexit.register(_close_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh_in_child)
