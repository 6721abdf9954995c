"""Where words go: results to stdout, everything said on the way to stderr, and one JSON line for machines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TextIO

import orjson
from rich.console import Console, RenderableType
from rich.prompt import Confirm
from rich.text import Text

__all__ = ["Terminal", "plain"]

# Without a terminal nothing is wrapped: whoever reads a log searches it by lines.
UNWRAPPED: Final = 1_000


class Terminal:
    """The two streams of one command.

    `results` is stdout, or stderr where stdout is kept for the JSON line; `asides` is stderr. Neither gets a control
    character unless it is a terminal.
    """

    def __init__(self, *, for_machines: bool = False) -> None:
        self.asides = _console(sys.stderr)
        self.results = self.asides if for_machines else _console(sys.stdout)
        self._for_machines = for_machines

    @property
    def is_watched(self) -> bool:
        """Whether a person sees what is drawn on the way."""
        return self.asides.is_terminal and not self.asides.is_dumb_terminal

    @property
    def can_ask(self) -> bool:
        """Whether a question would be seen and answered."""
        return self.asides.is_terminal and sys.stdin is not None and sys.stdin.isatty()

    def show(self, *results: RenderableType) -> None:
        """A part of the command's result."""
        for result in results:
            _print(self.results, result)

    def aside(self, *renderables: RenderableType) -> None:
        """Something to see on the way, on stderr."""
        for renderable in renderables:
            _print(self.asides, renderable)

    def note(self, text: str | Text) -> None:
        """A word on the way, on stderr."""
        self.asides.print(text)

    def waiting(self, doing: str) -> AbstractContextManager[object]:
        """Shows that something goes on, as long as the block lasts; nothing where nobody watches."""
        return self.asides.status(doing) if self.is_watched else nullcontext()

    def ask(self, question: str) -> bool:
        """The answer to a yes-or-no question; no answer is a no."""
        try:
            return Confirm.ask(f"[bold]{question}[/]", console=self.asides, default=False)
        except EOFError:
            return False

    def tell_machine(self, document: Mapping[str, Any]) -> None:
        """The last line of stdout where JSON was asked for; nothing otherwise."""
        if self._for_machines:
            print(orjson.dumps(document).decode(), flush=True)


def _print(console: Console, renderable: RenderableType) -> None:
    if console.is_terminal:
        console.print(renderable)
        return
    with console.capture() as captured:
        console.print(renderable)
    # Tables pad their cells; a log needs no trailing spaces.
    console.file.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))
    console.file.flush()


def plain(text: object) -> str:
    """Words of others (file names, a provider's reasons) without anything that would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))


def _console(stream: TextIO) -> Console:
    is_terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=is_terminal,
        width=None if is_terminal else UNWRAPPED,
        highlight=False,
        markup=False,
        emoji=False,
    )
