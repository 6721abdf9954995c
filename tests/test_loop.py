"""The process's I/O loop, with real threads, processes and signals."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from prefect_trinetra.loop import IOLoop, io_loop

WAIT_SECONDS = 30  # far above what anything here takes: only a hang reaches it


@pytest.fixture
def loop() -> Iterator[IOLoop]:
    made = IOLoop()
    yield made
    made.close()


async def thread_name() -> str:
    return threading.current_thread().name


class Stoppable:
    """A coroutine that runs until it is cancelled, and says when it began and how it ended."""

    def __init__(self, error: Exception | None = None) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()
        self.error = error

    async def run(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
            if self.error is not None:
                raise self.error


def test_coroutines_run_in_the_loops_own_thread(loop: IOLoop) -> None:
    """A sync caller gets the result of what ran elsewhere."""
    assert loop.run(thread_name()) == "trinetra-io"


def test_errors_come_out_as_they_are(loop: IOLoop) -> None:
    """An error inside is the same error outside, a TimeoutError too."""

    async def fail() -> None:
        raise TimeoutError("inside")

    with pytest.raises(TimeoutError, match="inside"):
        loop.run(fail())


def test_many_threads_share_one_loop(loop: IOLoop) -> None:
    """Whoever hands over a coroutine, it runs on the one loop."""

    async def running() -> int:
        await asyncio.sleep(0)
        return id(asyncio.get_running_loop())

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        seen = set(pool.map(lambda _: loop.run(running()), range(200)))
    assert len(seen) == 1


async def test_another_event_loop_awaits_it(loop: IOLoop) -> None:
    """From a task's own event loop the call is awaited, and that loop goes on meanwhile."""
    names = await asyncio.gather(*(loop.arun(thread_name()) for _ in range(50)))
    assert set(names) == {"trinetra-io"}


async def test_a_sync_call_works_inside_a_running_loop(loop: IOLoop) -> None:
    """As in a notebook's cell: the caller's own loop stands still, ours does the work."""
    assert loop.run(thread_name()) == "trinetra-io"


def test_on_the_loop_itself_it_is_just_awaited(loop: IOLoop) -> None:
    """Code on the loop may call what others call through `arun`."""

    async def inner() -> str:
        return await loop.arun(thread_name())

    assert loop.run(inner()) == "trinetra-io"


def test_waiting_on_the_loops_own_thread_is_refused(loop: IOLoop) -> None:
    """It would wait for itself for ever."""

    async def wait_for_itself() -> None:
        loop.run(thread_name())

    with pytest.raises(RuntimeError, match="own thread"):
        loop.run(wait_for_itself())


def test_context_variables_go_along(loop: IOLoop) -> None:
    """What a task run sees of its context, the coroutine it hands over sees."""
    row: contextvars.ContextVar[int] = contextvars.ContextVar("row")
    row.set(7)

    async def read() -> int:
        return row.get()

    assert loop.run(read()) == 7


async def test_a_cancellation_goes_in(loop: IOLoop) -> None:
    """A timed-out task stops what it started, and is told only when that has ended."""
    work = Stoppable()
    waiting = asyncio.create_task(loop.arun(work.run()))
    await asyncio.to_thread(work.began.wait, WAIT_SECONDS)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.ended.is_set()


async def test_an_error_while_stopping_is_not_hidden(loop: IOLoop) -> None:
    """What could not be made durable on the way out is an error, not a quiet cancellation."""
    work = Stoppable(OSError("disk full"))
    waiting = asyncio.create_task(loop.arun(work.run()))
    await asyncio.to_thread(work.began.wait, WAIT_SECONDS)
    waiting.cancel()
    with pytest.raises(OSError, match="disk full"):
        await waiting


def test_an_interrupt_stops_the_work_and_is_raised(loop: IOLoop) -> None:
    """Ctrl-C in a sync wait cancels the coroutine, waits for its end, and carries what went wrong as a note."""
    work = Stoppable(OSError("disk full"))

    def interrupt() -> None:
        work.began.wait(WAIT_SECONDS)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt) as interruption:
        loop.run(work.run())
    interrupter.join()
    assert work.ended.is_set()
    assert any("disk full" in note for note in interruption.value.__notes__)


def test_who_does_not_stop_is_left_after_the_grace() -> None:
    """Ctrl-C ends the wait even when the work ignores it, and says so."""
    loop, began, released = IOLoop(grace_seconds=0.01), threading.Event(), threading.Event()

    async def deaf() -> None:
        began.set()
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    def interrupt() -> None:
        began.wait(WAIT_SECONDS)
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt) as interruption:
        loop.run(deaf())
    interrupter.join()
    released.set()
    loop.close()
    assert any("did not stop" in note for note in interruption.value.__notes__)


def test_the_loop_is_not_closed_from_its_own_thread(loop: IOLoop) -> None:
    """It would wait for itself to end."""

    async def close() -> None:
        loop.close()

    with pytest.raises(RuntimeError, match="own thread"):
        loop.run(close())


def test_closing_cancels_what_runs_and_then_closes_in_reverse(loop: IOLoop) -> None:
    """First the work ends, then the closers run, the last registered first; one that fails stops none."""
    work, order = Stoppable(), list[str]()

    async def client_closes() -> None:
        order.append(f"client after work: {work.ended.is_set()}")

    async def poller_closes() -> None:
        order.append("poller")
        raise OSError("already gone")

    loop.on_close(client_closes)
    loop.on_close(poller_closes)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(loop.run, work.run())
        work.began.wait(WAIT_SECONDS)
        loop.close()
        assert isinstance(waiting.exception(WAIT_SECONDS), concurrent.futures.CancelledError)
    assert order == ["poller", "client after work: True"]


def test_a_closed_loop_takes_no_more(loop: IOLoop) -> None:
    """The message says why, and closing again is fine."""
    loop.close()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.run(thread_name())


def test_a_process_has_one_loop() -> None:
    """However many threads ask at once; after it was closed there is a new one."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        first, *others = pool.map(lambda _: io_loop(), range(64))
    assert all(other is first for other in others)
    first.close()
    assert io_loop() is not first


def _python(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_ends_cleanly() -> None:
    """At exit what runs is cancelled, closers run, and nothing is said on the way out."""
    process = _python("""
        import asyncio, concurrent.futures, contextlib, threading
        from prefect_trinetra.loop import io_loop
        began = threading.Event()
        async def work():
            began.set()
            try:
                await asyncio.sleep(3600)
            finally:
                print("stopped")
        async def close():
            print("closed")
        io_loop().on_close(close)
        def wait():
            with contextlib.suppress(concurrent.futures.CancelledError):
                io_loop().run(work())
        threading.Thread(target=wait, daemon=True).start()
        began.wait()
    """)
    out, err = process.communicate(timeout=WAIT_SECONDS)
    lines = out.split()
    assert (process.returncode, err) == (0, "")
    assert lines.index("stopped") < lines.index("closed")


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a child are POSIX")
def test_sigint_ends_a_process_within_its_grace() -> None:
    """Ctrl-C in a terminal: the coroutine gets to clean up, then the process ends as interrupted ones do."""
    process = _python("""
        import asyncio
        from prefect_trinetra.loop import io_loop
        async def work():
            try:
                print("began", flush=True)
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(0)
                print("journal durable", flush=True)
        io_loop().run(work())
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "began\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=WAIT_SECONDS)
    assert out == "journal durable\n"
    assert process.returncode == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    """The parent's loop has no thread in the child: the child makes a new one, and both go on working."""
    process = _python("""
        import os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from prefect_trinetra.loop import io_loop
        async def answer():
            return os.getpid()
        parents = io_loop()
        assert parents.run(answer()) == os.getpid()
        child = os.fork()
        if child == 0:
            assert io_loop() is not parents
            assert io_loop().run(answer()) == os.getpid()
            sys.exit(7)
        _, status = os.waitpid(child, 0)
        assert io_loop() is parents
        assert parents.run(answer()) == os.getpid()
        print(os.waitstatus_to_exitcode(status))
    """)
    out, err = process.communicate(timeout=WAIT_SECONDS)
    assert (out, err, process.returncode) == ("7\n", "", 0)
