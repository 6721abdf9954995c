"""A server on loopback in a process of its own, that ends with the tests whatever becomes of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# Far above what any of them takes, on a busy machine too.
START_SECONDS = 180.0


def unmeasured() -> dict[str, str]:
    """This process's environment for a program that is not ours: it takes twice as long where coverage is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class ServerProcess:
    """A server that can be stopped, killed and started again on the same port and folder."""

    command: Sequence[str]
    is_ready: Callable[[], bool]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns once it answers."""
        # Linux ends it together with the tests, even where those are killed.
        bond = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*bond, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=unmeasured() | dict(self.environment),
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.command[0]} did not start: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, which: signal.Signals) -> None:
        if self._process is None:
            return
        for pid in [self._process.pid, *_below(self._process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, which)


def _below(pid: int) -> list[int]:
    """A process's children and theirs: sshd has one for each connection, in a group of its own."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it ended meanwhile, or this is no Linux
        return []
    return children + [each for child in children for each in _below(child)]


@contextlib.contextmanager
def running(server: ServerProcess) -> Iterator[ServerProcess]:
    """The server while the block runs."""
    server.start()
    try:
        yield server
    finally:
        server.kill()  # whatever it holds is a test's, and some take seconds to say goodbye
