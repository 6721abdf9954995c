"""A sandbox in a process of its own, for tests, benchmarks and the demo."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final

import orjson

from prefect_trinetra.sandbox.config import SandboxConfig

__all__ = ["SandboxHandle", "SandboxNotStarted", "running_sandbox"]

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0
CONTROL_SECONDS: Final = 30.0
READY: Final = "sandbox ready at "


class SandboxNotStarted(RuntimeError):
    """The sandbox's process ended or said nothing; the message holds what it wrote to stderr."""


@dataclass(frozen=True)
class SandboxHandle:
    """A running sandbox: where it is and how to tell it things. Its calls block."""

    url: str
    api_key: str
    pid: int

    def bill(self) -> dict[str, Any]:
        """What was really bought so far; see `GET /sandbox/bill`."""
        return self._call("GET", "/sandbox/bill")

    def faults(self) -> dict[str, float]:
        """The rate of every fault, from 0 to 1."""
        return self._call("GET", "/sandbox/faults")

    def set_faults(self, **rates: float) -> None:
        """Change the rates that are named, from 0 to 1; the others stay."""
        self._call("PUT", "/sandbox/faults", rates)

    def set_pace(self, job_seconds: float) -> None:
        """Let jobs that are accepted from now on take that median time."""
        self._call("PUT", "/sandbox/pace", {"job_seconds": job_seconds})

    def set_limit(self, requests_per_second: float | None) -> None:
        """Admit so many submits a second from now on; None admits all."""
        self._call("PUT", "/sandbox/limit", {"requests_per_second": requests_per_second})

    def reset(self) -> None:
        """Forget all jobs; faults and balance are again those of the start."""
        self._call("POST", "/sandbox/reset")

    def top_up(self, credits_: float) -> None:
        """Add credits to the account's balance."""
        self._call("POST", "/sandbox/balance", {"credits": credits_})

    def _call(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        content = None if document is None else orjson.dumps(document)
        request = urllib.request.Request(self.url + path, content, method=method)  # noqa: S310  # our own server
        with urllib.request.urlopen(request, timeout=CONTROL_SECONDS) as response:  # noqa: S310  # our own server
            answer: dict[str, Any] = orjson.loads(response.read())
        return answer


@contextmanager
def running_sandbox(**config_options: Any) -> Iterator[SandboxHandle]:
    """A sandbox in a process of its own on a free loopback port, ended when the block is left.

    The options are those of SandboxConfig. Raises SandboxNotStarted if it is not ready within 30 s. The process also
    ends when the one that started it is gone, however that came about.
    """
    config = SandboxConfig(**config_options)
    with tempfile.TemporaryFile("w+b") as stderr:
        process = _start(config, stderr)
        try:
            url = _wait_until_ready(process, stderr)
            yield SandboxHandle(url, config.api_keys[0], process.pid)
        finally:
            _stop(process)


def _start(config: SandboxConfig, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "prefect_trinetra.sandbox", "--until-stdin-closes"]
    return subprocess.Popen(
        [*command, "--config-json", config.model_dump_json(exclude_defaults=True)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def _wait_until_ready(process: subprocess.Popen[bytes], stderr: IO[bytes]) -> str:
    if process.stdout is None:
        raise SandboxNotStarted("The sandbox's output is not connected.")
    late = threading.Timer(START_SECONDS, process.kill)  # its death ends the wait for a line
    late.start()
    line = process.stdout.readline().decode(errors="replace")
    late.cancel()
    if not line.startswith(READY):
        stderr.seek(0)
        said = stderr.read().decode(errors="replace").strip()
        raise SandboxNotStarted(f"The sandbox did not start. It said: {said or 'nothing'}")
    return line.removeprefix(READY).strip()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
