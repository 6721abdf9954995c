"""How far a run is: one line that moves on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Final, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from prefect_trinetra.cli.figures import clock, credits_text
from prefect_trinetra.cli.terminal import Terminal
from prefect_trinetra.progress import Progress

__all__ = ["LiveProgress", "progress_sentence"]

# Smooth to the eye, and nothing beside the images' own cost.
DRAWINGS_PER_SECOND: Final = 6
# Enough to see that a run is alive, few enough for a log of hours.
LINE_EVERY_SECONDS: Final = 10.0
WIDEST_BAR: Final = 40
NARROWEST_BAR: Final = 8


class LiveProgress:
    """Draws a run's progress between entering and leaving it."""

    def __init__(self, progress: Progress, terminal: Terminal, line_every_seconds: float = LINE_EVERY_SECONDS) -> None:
        self._drawing: Live | _Lines = (
            Live(
                _Line(progress),
                console=terminal.asides,
                refresh_per_second=DRAWINGS_PER_SECOND,
                transient=True,
            )
            if terminal.is_watched
            else _Lines(progress, terminal, line_every_seconds)
        )

    def __enter__(self) -> Self:
        self._drawing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawing.stop()


def progress_sentence(progress: Progress) -> str:
    """Done, in flight, failed, credits, images/s, time left."""
    # What the bill leaves under the cap lets in rows that were not planned.
    to_do = max(progress.rows_to_do, progress.done)
    parts = [
        f"{progress.done:,}/{to_do:,} rows",
        f"{progress.in_flight:,} in flight",
        f"{progress.failures:,} failed",
        f"{credits_text(progress.credits_charged)} credits",
        f"{progress.images_per_second:.1f} images/s",
    ]
    if progress.seconds_left is not None:
        parts.append(f"{clock(progress.seconds_left)} left")
    return "  ".join(parts)


class _Line:
    """Bar and sentence, drawn anew from the counters each time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        sentence = progress_sentence(self._progress)
        room = min(WIDEST_BAR, options.max_width - len(sentence) - 3)
        if room < NARROWEST_BAR:
            yield Text(sentence, no_wrap=True, overflow="ellipsis")
            return
        line = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, self._progress.rows_to_do), completed=self._progress.done, width=room)
        line.add_row(bar, Text(sentence))
        yield line


class _Lines:
    """A thread that writes the sentence every few seconds."""

    def __init__(self, progress: Progress, terminal: Terminal, every_seconds: float) -> None:
        self._progress = progress
        self._terminal = terminal
        self._every_seconds = every_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, name="trinetra-progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._stopped.wait(self._every_seconds):
            self._terminal.note(progress_sentence(self._progress))
