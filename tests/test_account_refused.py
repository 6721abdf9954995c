"""An account that stops in the middle of a run: real commands, and the bill as the judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import started, trinetra, wait_until
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from runs import bought_twice

pytestmark = pytest.mark.slow

ROWS = 40
AT_ONCE = 4


def manifest_in(folder: Path) -> Path:
    manifest = folder / "kites.txt"
    manifest.write_text("".join(f"kite number {row}\n" for row in range(ROWS)))
    return manifest


def test_credits_that_run_out_stop_the_run_at_once_and_a_top_up_finishes_it(tmp_path: Path) -> None:
    """402 in mid-run: what is in flight is collected, what is missing is said, no row is refused for good."""
    words = ("generate", manifest_in(tmp_path), tmp_path / "kites", "--jobs-in-flight", AT_ONCE)
    with running_sandbox(job_seconds=0.2, pixels=32, pictures="stamped", balance=70) as sandbox:
        ended = trinetra(*words, sandbox=sandbox)
        bill = sandbox.bill()
        assert ended.status == 1
        assert "402" in ended.stdout
        assert "This job costs 7 credits; the account has 0 left. Top up the account's credits" in ended.stdout
        assert f"What is left to order costs at most {(ROWS - 10) * 7} credits more." in ended.stdout
        assert "change them in the manifest" not in ended.stdout
        assert (bill["jobs_accepted"], bill["credits"]) == (10, 70)
        assert bill["submits"] <= 10 + AT_ONCE
        assert len([*(tmp_path / "kites" / "images").rglob("*.png")]) == 10
        sandbox.top_up(1_000)
        ended = trinetra(*words, sandbox=sandbox)
        bill = sandbox.bill()
    assert ended.status == 0, ended.stderr
    assert bill["credits"] == ROWS * 7
    assert not bought_twice(bill)


@pytest.mark.parametrize(
    ("fault", "status", "advice"),
    [
        ("unauthorized", 401, "Check TRINETRA_API_KEY or the credentials block"),
        ("forbidden", 403, "Check what the API key may do"),
    ],
)
def test_a_key_that_is_taken_away_stops_the_run_at_once(fault: str, status: int, advice: str, tmp_path: Path) -> None:
    """401 and 403 in mid-run: likewise, and once the key works again the same command finishes the dataset."""
    words = ("generate", manifest_in(tmp_path), tmp_path / "kites", "--jobs-in-flight", AT_ONCE, "--json")
    with running_sandbox(job_seconds=0.2, pixels=32, pictures="stamped") as sandbox:
        with started(*words, sandbox=sandbox) as run:
            wait_until(lambda: sandbox.bill()["submits"] >= ROWS // 4, "a quarter was ordered")
            sandbox.set_faults(**{fault: 1.0})
            stdout, _ = run.communicate(timeout=60)
        accepted, submits = bought(sandbox)
        assert run.returncode == 1
        assert f"refused with {status}" in stdout
        assert advice in stdout
        assert ROWS // 4 <= accepted < ROWS
        assert submits <= accepted + AT_ONCE
        assert len([*(tmp_path / "kites" / "images").rglob("*.png")]) == accepted
        sandbox.set_faults(**{fault: 0.0})
        ended = trinetra(*words, sandbox=sandbox)
        bill = sandbox.bill()
    assert ended.status == 0, ended.stderr
    assert ended.document["outcomes"]["succeeded"] == ROWS
    assert not bought_twice(bill)


def bought(sandbox: SandboxHandle) -> tuple[int, int]:
    """Jobs that were accepted, and orders that were sent."""
    bill = sandbox.bill()
    return bill["jobs_accepted"], bill["submits"]
