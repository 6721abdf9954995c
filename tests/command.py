"""The real console command, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect_trinetra.sandbox.process import SandboxHandle

COMMAND = Path(sys.executable).with_name("prefect-trinetra")
# Far above what any of these commands takes: only something that hangs reaches it.
PATIENCE_SECONDS = 120.0
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment(sandbox: SandboxHandle | None = None) -> dict[str, str]:
    """This process's environment without anybody's account, and with the sandbox's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRINETRA_", "PREFECT_"))}
    if sandbox is None:
        return kept
    return kept | {"TRINETRA_API_KEY": sandbox.api_key, "TRINETRA_BASE_URL": sandbox.url}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object on the last line of stdout."""
        document: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return document


def trinetra(*words: object, sandbox: SandboxHandle | None = None, cwd: Path | None = None) -> Ended:
    """The command with these words, run to its end without a terminal."""
    done = subprocess.run(
        [COMMAND, *map(str, words)],
        env=environment(sandbox),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def started(*words: object, sandbox: SandboxHandle | None = None) -> Iterator[subprocess.Popen[str]]:
    """The command while it runs; it is killed if it outlives the block."""
    process = subprocess.Popen(
        [COMMAND, *map(str, words)],
        env=environment(sandbox),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@dataclass
class OnTerminal:
    """The command on a terminal: what it wrote so far, and a keyboard."""

    process: subprocess.Popen[bytes]
    keyboard: int
    seen: str = field(default="")

    @property
    def text(self) -> str:
        """All that was written, without colours and cursor movements."""
        return CONTROLS.sub("", self.seen)

    def read_until(self, words: str) -> None:
        """Reads on until these words were written."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while words not in self.text:
            assert time.monotonic() < deadline, f"{words!r} never came; what came: {self.text!r}"
            assert self._read(), f"it ended without {words!r}; what came: {self.text!r}"

    def end(self) -> int:
        """Reads what is left; the exit status."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def type(self, words: str) -> None:
        os.write(self.keyboard, words.encode())

    def _read(self) -> bool:
        if not select.select([self.keyboard], [], [], 1.0)[0]:
            return True
        try:
            data = os.read(self.keyboard, 65_536)
        except OSError:  # Linux says so when the last program has closed the terminal
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)


@contextlib.contextmanager
def on_terminal(*words: object, sandbox: SandboxHandle) -> Iterator[OnTerminal]:
    """The command on a pseudo-terminal of 100 columns."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *map(str, words)],
        env=environment(sandbox) | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    with process:
        try:
            yield OnTerminal(process, ours)
        finally:
            process.kill()
            os.close(ours)


def wait_until(predicate: Callable[[], bool], description: str, *, pause_seconds: float = 0.02) -> None:
    """Looks again and again until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not predicate():
        assert time.monotonic() < deadline, f"it never happened that {description}"
        time.sleep(pause_seconds)
