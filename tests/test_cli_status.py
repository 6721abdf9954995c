"""`status`: what a dataset holds and cost, and what is open in it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command import started, trinetra, wait_until
from prefect_trinetra.cli.app import run_command
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.sandbox.process import running_sandbox
from prefect_trinetra.storage import Storage
from prefect_trinetra.survey import Reason, read_reasons
from runs import run


def test_status_tells_outcomes_credits_and_reasons(tmp_path: Path) -> None:
    """It needs no key; charged and bound are the sums of all runs."""
    manifest = tmp_path / "posters.txt"
    manifest.write_text("a poster\na forbidden-by-moderation poster\n")
    with running_sandbox(job_seconds=0, pixels=32) as sandbox:
        run(sandbox, str(manifest), tmp_path / "posters")
        run(sandbox, str(manifest), tmp_path / "posters", parameters=ImageParameters(quality="low"))
    ended = trinetra("status", tmp_path / "posters", "--json")
    found = ended.document
    assert ended.status == 0
    assert (found["rows"], found["images"], found["accepted"], found["unknown"]) == (2, 2, 2, 0)
    assert (found["outcomes"]["succeeded"], found["outcomes"]["refused"]) == (1, 1)
    assert [run["credits_charged"] for run in found["runs"]] == [7, 3]
    assert found["credits_charged"] == found["credits_bound"] == 10
    assert found["open_journals"] == []
    assert found["holder"] is None
    assert "refused, moderation (row 2): refused with 400" in ended.stderr


def test_what_to_look_at_is_listed(tmp_path: Path) -> None:
    """Suspect images and near-duplicates, with what is odd and whose picture it is; all of them for machines."""
    with running_sandbox(job_seconds=0, pixels=64, faults={"placeholder": 1}) as sandbox:
        report = run(sandbox, [{"prompt": "a red kite"}, {"prompt": "a blue kite"}], tmp_path / "kites")
    assert (report.suspects, report.near_duplicates, report.usable) == (2, 1, 0)
    assert report.credits_per_usable_image is None
    found = trinetra("status", tmp_path / "kites", "--suspects", "--json").document
    assert [each["prompt"] for each in found["odd"]] == ["a red kite", "a blue kite"]
    assert [each["near_duplicate_of"] for each in found["odd"]] == [None, found["odd"][0]["file_name"]]
    shown = " ".join(trinetra("status", tmp_path / "kites", "--suspects").stdout.split())
    assert "2 images 2 suspect, 1 near-duplicates" in shown
    assert f"same bytes as {found['odd'][0]['file_name']}; like {found['odd'][0]['file_name']} a blue kite" in shown


def test_a_usable_image_pays_for_the_others(tmp_path: Path) -> None:
    """Two pictures of the same pixels cost 7 credits each: the one that is of use cost 14."""
    with running_sandbox(job_seconds=0, pixels=64, pictures="stamped") as sandbox:
        report = run(sandbox, [{"prompt": "a red kite"}, {"prompt": "a blue kite"}], tmp_path / "kites")
        again = run(sandbox, [{"prompt": "a red kite"}, {"prompt": "a blue kite"}], tmp_path / "kites")
    assert (report.near_duplicates, report.usable) == (1, 1)
    assert report.credits_per_usable_image == again.credits_per_usable_image == (14, 14)


def test_orders_without_an_answer_are_told_apart(tmp_path: Path) -> None:
    """Nobody knows whether they were accepted: they count in the bound, not as charged."""
    manifest = tmp_path / "kites.txt"
    manifest.write_text("a kite\n")
    with running_sandbox(job_seconds=0, pixels=32, faults={"error_after": 1}) as sandbox:
        run(sandbox, str(manifest), tmp_path / "kites")
    found = trinetra("status", tmp_path / "kites", "--json").document
    assert (found["accepted"], found["unknown"], found["outcomes"]["unknown"]) == (0, 1, 1)
    assert (found["credits_bound"], found["credits_charged"]) == (7, 0)


def test_a_journal_that_a_killed_run_left_is_shown(tmp_path: Path) -> None:
    """SIGKILL in the middle: its jobs are out, the lease is still its own, and the next run takes over."""
    manifest = tmp_path / "kites.txt"
    manifest.write_text("a red kite\na blue kite\n")
    with running_sandbox(job_seconds=30, pixels=32) as sandbox:
        with started("generate", manifest, tmp_path / "kites", sandbox=sandbox) as killed:
            wait_until(lambda: sandbox.bill()["polls"] > 0, "a job whose answer was journaled is looked at")
            killed.send_signal(signal.SIGKILL)
        ended = trinetra("status", tmp_path / "kites", "--json")
    (journal,) = ended.document["open_journals"]
    assert journal["posts"] == 2
    assert journal["jobs_out"] == ended.document["requests"]["pending"] > 0
    assert ended.document["holder"]["pid"] == killed.pid
    assert f"(process {killed.pid}, since " in ended.stderr
    assert "the next run takes over" in ended.stderr


def test_a_folder_that_is_no_dataset_is_said_so(tmp_path: Path) -> None:
    """Exit status 2, and nothing is written there."""
    ended = trinetra("status", tmp_path)
    assert ended.status == 2
    assert "is no dataset" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"no spill file\n"])
def test_a_file_that_is_no_spill_file_recovers_nothing(
    content: bytes | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Missing or something else: one sentence that says what to name."""
    manifest = tmp_path / "kites.txt"
    manifest.write_text("a kite\n")
    with running_sandbox(job_seconds=0, pixels=32) as sandbox:
        run(sandbox, str(manifest), tmp_path / "kites")
    file = tmp_path / "spill.jsonl"
    if content is not None:
        file.write_bytes(content)
    assert run_command(["status", str(tmp_path / "kites"), "--recover", str(file)]) == 2
    assert "name the" in capfd.readouterr().err


def test_rows_that_an_early_version_published_have_reasons_without_classes(tmp_path: Path) -> None:
    """Rule: a dataset lives longer than a release; its reasons are told by outcome until the next run."""
    rows = {"row": [1, 2, 3], "outcome": ["refused", "succeeded", "refused"], "reason": ["blocked", None, "too long"]}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    reasons = asyncio.run(read_reasons(Storage.open(str(tmp_path))))
    assert reasons[0] == Reason(Outcome.REFUSED, "blocked", rows=2, first_row=1, reasons=2)
