"""A run that is stopped ends cleanly, and the next one goes on: nothing is bought twice, nothing is lost."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from command import started, trinetra, wait_until
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from runs import bought_twice

pytestmark = pytest.mark.slow

ROWS = 36


def enough_or_ended(sandbox: SandboxHandle, run: subprocess.Popen[str]) -> bool:
    return run.poll() is not None or sandbox.bill()["submits"] >= ROWS // 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_next_run_goes_on_where_one_was_stopped(number: signal.Signals, status: int, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM alike: every answer is journaled, and the bill has each prompt once."""
    manifest = tmp_path / "kites.txt"
    manifest.write_text("".join(f"kite number {row}\n" for row in range(ROWS)))
    words = ("generate", manifest, tmp_path / "kites", "--jobs-in-flight", 8, "--json")
    with running_sandbox(job_seconds=0.2, pixels=32) as sandbox:
        with started(*words, sandbox=sandbox) as run:
            wait_until(lambda: enough_or_ended(sandbox, run), "a third was ordered")
            run.send_signal(number)
            _, stderr = run.communicate(timeout=30)
        assert run.returncode == status
        assert "Run the same command again to go on" in stderr
        assert "Traceback" not in stderr
        assert sandbox.bill()["submits"] < ROWS
        ended = trinetra(*words, sandbox=sandbox)
        bill = sandbox.bill()
    assert ended.status == 0, ended.stderr
    assert ended.document["outcomes"]["succeeded"] == ROWS
    assert bill["submits"] == bill["images"] == ROWS
    assert not bought_twice(bill)
