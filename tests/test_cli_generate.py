"""`generate`: from a manifest to a dataset on the command line, with the bill as the judge."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from command import trinetra
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox

PROMISED = {"rows", "kept", "images", "outcomes", "credits_bound", "credits_charged", "dataset", "seconds"}
MANIFEST = "caption,label\na red kite,0001\na blue kite,0002\na red kite,0003\n"


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0, pixels=32) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: SandboxHandle) -> SandboxHandle:
    shared_sandbox.reset()
    return shared_sandbox


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "kites.csv"
    path.write_text(MANIFEST)
    return path


def test_a_run_ends_with_one_json_line(sandbox: SandboxHandle, manifest: Path, tmp_path: Path) -> None:
    """The last line of stdout has the promised names; what is for people is on stderr."""
    ended = trinetra(
        "generate", manifest, tmp_path / "kites", "--column", "prompt=caption", "--quality", "low", "--json",
        sandbox=sandbox,
    )  # fmt: skip
    assert ended.status == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == 1
    document = ended.document
    assert document.keys() >= PROMISED
    assert (document["rows"], document["images"], document["outcomes"]["succeeded"]) == (3, 2, 3)
    assert document["credits_charged"] == sandbox.bill()["credits"] == 6
    assert document["dataset"] == str(tmp_path / "kites")
    assert pq.read_table(tmp_path / "kites" / "metadata.parquet")["label"].to_pylist() == ["0001", "0002"]


def test_a_second_run_is_free(sandbox: SandboxHandle, manifest: Path, tmp_path: Path) -> None:
    """Everything is kept, nothing is ordered."""
    words = ("generate", manifest, tmp_path / "kites", "--columns", "prompt=caption", "--json")
    trinetra(*words, sandbox=sandbox)
    ordered = sandbox.bill()["submits"]
    document = trinetra(*words, sandbox=sandbox).document
    assert sandbox.bill()["submits"] == ordered
    assert (document["kept"], document["credits_bound"], document["images"]) == (2, 0, 2)


def test_a_dry_run_spends_and_writes_nothing(sandbox: SandboxHandle, manifest: Path, tmp_path: Path) -> None:
    """It says what a run would do: rows by outcome as they are, images and credits as they would be asked for."""
    ended = trinetra(
        "generate", manifest, tmp_path / "kites", "--column", "prompt=caption", "--n", 2, "--dry-run", "--json",
        sandbox=sandbox,
    )  # fmt: skip
    document = ended.document
    assert ended.status == 0
    assert document.keys() >= PROMISED
    assert (document["images"], document["credits_bound"], document["credits_charged"]) == (4, 28, 0)
    assert document["outcomes"]["pending"] == document["rows"] == 3
    assert sandbox.bill()["submits"] == 0
    assert not (tmp_path / "kites").exists()


def test_failures_above_tolerance_are_exit_status_1(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """The report and the JSON line come all the same."""
    manifest = tmp_path / "posters.txt"
    manifest.write_text("a poster\na forbidden-by-moderation poster\n")
    ended = trinetra("generate", manifest, tmp_path / "posters", "--json", sandbox=sandbox)
    assert ended.status == 1
    assert ended.document["outcomes"]["refused"] == 1
    assert "1 of 2 rows failed (1 refused)" in ended.stderr
    assert "refused, moderation (row 2): refused with 400" in ended.stderr


def test_tolerated_failures_are_exit_status_0(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Half of the rows may fail where that is tolerated."""
    manifest = tmp_path / "posters.txt"
    manifest.write_text("a poster\na forbidden-by-moderation poster\n")
    ended = trinetra("generate", manifest, tmp_path / "posters", "--tolerated-failures", 0.5, sandbox=sandbox)
    assert ended.status == 0
    assert re.search(r"refused +1 ", ended.stdout)


def test_rows_left_over_are_no_failure(sandbox: SandboxHandle, manifest: Path, tmp_path: Path) -> None:
    """The cap holds, the exit status is 0, and the output says how to go on."""
    ended = trinetra(
        "generate", manifest, tmp_path / "kites", "--column", "prompt=caption", "--max-credits", 7, sandbox=sandbox
    )
    assert ended.status == 0
    assert sandbox.bill()["credits"] == 7
    assert "1 row over the cap: run again with a higher cap" in ended.stdout


def test_without_a_terminal_there_are_no_control_characters(
    sandbox: SandboxHandle, manifest: Path, tmp_path: Path
) -> None:
    """A log holds plain lines, without trailing spaces."""
    ended = trinetra("generate", manifest, tmp_path / "kites", "--column", "prompt=caption", sandbox=sandbox)
    for line in (ended.stdout + ended.stderr).splitlines():
        assert line.isprintable()
        assert line == line.rstrip()


def test_a_base_url_of_somebody_else_is_said_before_the_first_request(
    sandbox: SandboxHandle, manifest: Path, tmp_path: Path
) -> None:
    """Nobody mistakes the sandbox for the provider."""
    ended = trinetra("generate", manifest, tmp_path / "kites", "--column", "prompt=caption", sandbox=sandbox)
    assert f"ordering from {sandbox.url}, not the provider's own address" in ended.stderr


def test_several_files_make_one_dataset(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """The last word is the dataset, all before it are manifests."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(f"a kite called {name}\n")
    ended = trinetra(
        "generate", tmp_path / "one.txt", tmp_path / "two.txt", tmp_path / "kites", "--json", sandbox=sandbox
    )
    assert ended.document["images"] == 2
