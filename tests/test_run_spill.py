"""A dataset that goes away in mid-run and stays away: what was paid for is in a local file, and comes back from it."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from command import started, trinetra, wait_until
from prefect_trinetra.sandbox.process import running_sandbox

ROWS = 40


@pytest.mark.slow
def test_what_the_storage_no_longer_took_is_recovered_and_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule: without a journal no POST is made; the answers to those under way are spilled, nothing is lost."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    manifest, dataset = tmp_path / "prompts.txt", tmp_path / "dataset"
    manifest.write_text("".join(f"a kite, number {number}\n" for number in range(ROWS)))
    words = ("generate", manifest, dataset, "--json", "--yes", "--requests-per-minute", 600)
    with running_sandbox(job_seconds=60, pixels=32, pictures="stamped") as sandbox:
        with started(*words, sandbox=sandbox) as process:
            wait_until(lambda: sandbox.bill()["submits"] >= 5, "five rows were submitted")
            away = take_away(dataset / "journal")
            told = process.stderr
            assert told is not None
            wait_until(lambda: "was not stored" in told.readline(), "the run said that its journal is away")
            bought = sandbox.bill()["submits"]
            process.send_signal(signal.SIGINT)
            process.communicate()
        assert sandbox.bill()["submits"] - bought <= 1
        bring_back(away, dataset / "journal")
        bought = sandbox.bill()["submits"]
        assert bought < ROWS
        for spilled in (tmp_path / "home").rglob("*.jsonl"):
            assert trinetra("status", dataset, "--recover", spilled, sandbox=sandbox).status == 0
        document = trinetra("plan", manifest, dataset, "--json", sandbox=sandbox).document
        assert (document["to_collect"], document["to_buy"]) == (bought, ROWS - bought)


def take_away(folder: Path) -> Path:
    """Puts a file in the folder's place, as good as a disk that is gone; where the folder is now."""
    away = folder.with_name("away")
    folder.rename(away)
    folder.write_text("")
    return away


def bring_back(away: Path, folder: Path) -> None:
    folder.unlink()
    shutil.move(away, folder)
