"""Runs beside runs, in processes of their own: two on one dataset, a takeover from the dead, one back from the dead."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import COMMAND, PATIENCE_SECONDS, environment, trinetra, wait_until
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from runs import bought_twice

pytestmark = pytest.mark.slow

ROWS = 30
# A dead run is succeeded after 1.75 times this; long enough for the signs of life of a busy machine.
LEASE_SECONDS = "1.5"


@pytest.fixture
def sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0.4, pixels=32, pictures="stamped") as handle:
        yield handle


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The command, slow enough to be caught at work."""
    manifest = tmp_path / "boats.txt"
    manifest.write_text("".join(f"boat number {row}\n" for row in range(ROWS)))
    return ["generate", str(manifest), str(tmp_path / "boats"), "--jobs-in-flight", "4", "--json", "--yes"]


def begun(words: list[str], sandbox: SandboxHandle, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, *words, *more],
        env=environment(sandbox) | {"TRINETRA_LEASE_SECONDS": LEASE_SECONDS},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit status and what it said to people."""
    _, stderr = run.communicate(timeout=PATIENCE_SECONDS)
    return run.returncode, stderr


def wait_for_submits(sandbox: SandboxHandle, count: int) -> None:
    wait_until(lambda: sandbox.bill()["submits"] >= count, f"{count} rows were ordered")


def test_two_runs_started_together_buy_each_image_once(words: list[str], sandbox: SandboxHandle) -> None:
    """Rule: one works, the other says for whom it waits, then finds nothing to do; both end well."""
    both = [begun(words, sandbox), begun(words, sandbox)]
    told = [ended(run) for run in both]
    bill = sandbox.bill()
    assert [status for status, _ in told] == [0, 0], told
    assert sum("waiting for run " in said for _, said in told) == 1
    assert (bill["submits"], bill["images"], bought_twice(bill)) == (ROWS, ROWS, [])


def test_a_run_that_does_not_wait_names_the_holder(words: list[str], sandbox: SandboxHandle) -> None:
    """Rule: it ends at once, nothing sent, and says on which machine and in which process the other one is."""
    with begun(words, sandbox) as first:
        wait_for_submits(sandbox, 4)
        hasty = begun(words, sandbox, "--no-wait")
        status, said = ended(hasty)
        assert first.poll() is None
        assert ended(first)[0] == 0
    assert status == 2
    assert f"(process {first.pid}, since " in said
    assert sandbox.bill()["submits"] == ROWS


def test_a_dead_holders_work_is_taken_over(words: list[str], sandbox: SandboxHandle) -> None:
    """Rule: a run that waits for one that is killed goes on with its work: its jobs are collected, not bought again."""
    with begun(words, sandbox) as first:
        wait_for_submits(sandbox, 8)
        second = begun(words, sandbox, "--tolerated-failures", "1")
        assert second.stderr is not None
        next(line for line in iter(second.stderr.readline, "") if "waiting for run" in line)
        first.send_signal(signal.SIGKILL)
        ended(first)
    status, _ = ended(second)
    bill = sandbox.bill()
    assert status == 0
    assert bought_twice(bill) == []
    # What was on its way at the kill may be unknown: it is then billed and not ordered again, or not ordered at all.
    assert ROWS - 4 <= bill["images"] <= ROWS


def test_a_holder_that_only_seemed_dead_buys_nothing_more(words: list[str], sandbox: SandboxHandle) -> None:
    """Rule: stopped for too long, it is succeeded; going on, it orders nothing and says what happened."""
    with begun(words, sandbox) as first:
        wait_for_submits(sandbox, 8)
        first.send_signal(signal.SIGSTOP)
        status, _ = ended(begun(words, sandbox, "--tolerated-failures", "1"))
        submits = sandbox.bill()["submits"]
        first.send_signal(signal.SIGCONT)
        late_status, said = ended(first)
    bill = sandbox.bill()
    assert status == 0
    assert late_status == 1
    assert "another run has taken over" in said
    assert "Traceback" not in said
    # Orders whose connection was just being written to when it was stopped go out then; each was in the journal.
    assert bill["submits"] - submits <= 4
    assert bought_twice(bill) == []
    assert trinetra(*words, "--retry", "none", "--tolerated-failures", 1, sandbox=sandbox).status == 0
    assert sandbox.bill()["submits"] == bill["submits"]
