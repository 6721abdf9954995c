"""The sandbox as a process: it starts, says where, and ends when told or left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from prefect_trinetra.sandbox.process import SandboxNotStarted, running_sandbox

COMMAND = [sys.executable, "-m", "prefect_trinetra.sandbox"]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def announced(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("sandbox ready at http://127.0.0.1:")
    return line.removeprefix("sandbox ready at ").strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_told(number: signal.Signals) -> None:
    """Status 0; it listened when it said so."""
    with start() as process:
        assert httpx.get(announced(process) + "/sandbox/health").status_code == 200
        process.send_signal(number)
        assert process.wait(20) == 0


def test_it_ends_with_whoever_started_it() -> None:
    """With --until-stdin-closes the end of stdin is the end."""
    with start("--until-stdin-closes") as process:
        announced(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_handle_knows_its_process_and_ends_it() -> None:
    """After the block nobody listens there any more."""
    with running_sandbox(api_keys=("one", "two")) as sandbox:
        assert sandbox.api_key == "one"
        assert sandbox.pid > 0
        url = sandbox.url
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_it_ends_even_while_an_answer_hangs() -> None:
    """A silent connection doesn't hold it up."""
    with running_sandbox(faults={"slow_download": 1}, slow_download_seconds=60) as sandbox:
        sandbox.set_faults(hang_after=1)
    assert sandbox.pid > 0


def test_a_bad_option_is_told_before_anything_starts() -> None:
    """By name."""
    with pytest.raises(ValueError, match="gremlins"), running_sandbox(gremlins=True):
        pass


def test_a_sandbox_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its process wrote to stderr is in the error: here an import that fails."""
    (tmp_path / "uvicorn.py").write_text("raise ImportError('no uvicorn today')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(SandboxNotStarted, match="no uvicorn today"), running_sandbox():
        pass
