"""The stages of something that takes its time: each is seen while it lasts, and stays as one line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from prefect_trinetra.cli.figures import clock
from prefect_trinetra.cli.terminal import Terminal

__all__ = ["Stages"]

# How often a stage's news are asked for and drawn.
DRAWINGS_PER_SECOND: Final = 5


class Stages:
    """Says on stderr what is going on: with a spinner on a terminal, a line at each end elsewhere."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def done(self, words: str, seconds: float | None = None) -> None:
        """A stage that is over."""
        took = Text(f"  {clock(seconds)}", "dim") if seconds is not None else Text()
        self._terminal.note(Text.assemble(("✓ ", "green"), words, took))

    @contextmanager
    def stage(self, doing: str, news: Callable[[], str] = str) -> Iterator[None]:
        """A stage that lasts as long as the block; `news` tells how far it is, from another thread."""
        started = time.monotonic()
        if self._terminal.is_watched:
            with self._drawn(doing, news, started):
                yield
        else:
            self._terminal.note(f"{doing} ...")
            yield
        self.done(doing, time.monotonic() - started)

    def _drawn(self, doing: str, news: Callable[[], str], started: float) -> Live:
        spinner = Spinner("dots", style="cyan")

        def drawing() -> Spinner:
            told = news()
            spinner.update(
                text=Text.assemble(
                    f"{doing}  ",
                    (clock(time.monotonic() - started), "dim"),
                    ("   " + told if told else "", "cyan"),
                )
            )
            return spinner

        return Live(
            get_renderable=drawing,
            console=self._terminal.asides,
            refresh_per_second=DRAWINGS_PER_SECOND,
            transient=True,
        )
