"""Bad use: exit status 2, one sentence, nothing spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import trinetra
from prefect_trinetra.cli.app import run_command
from prefect_trinetra.sandbox.process import running_sandbox


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "kites.txt"
    path.write_text("a kite\n")
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--quality", "ultra"], "--quality: 'ultra' is not low, medium, high or auto"),
        (["--n", "5"], "--n: 5 is more than 4"),
        (["--colour", "red"], "Unknown option: --colour"),
        (["--max-credits", "many"], "--max-credits"),
        (["--retry", "failed,pending"], "--retry pending: choose from"),
        (["--column", "caption"], "--column caption: write it as --column prompt=caption"),
        (["--jobs-in-flight", "0"], "--jobs-in-flight: '0' is less than 1"),
        (["--tolerated-failures", "2"], "tolerated_failures is 2.0"),
        (["--storage", "prod", "--storage-option", "anon=true"], "give the one to use"),
    ],
)
def test_a_wrong_flag_is_named(
    manifest: Path, tmp_path: Path, words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its message says which flag it is and what would be right; no traceback."""
    status = run_command(["generate", str(manifest), str(tmp_path / "kites"), *words])
    stdout, stderr = capfd.readouterr()
    assert (status, stdout) == (2, "")
    assert said in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "kites").exists()


def test_without_a_key_nothing_starts(manifest: Path, tmp_path: Path) -> None:
    """The message names the variable to set."""
    ended = trinetra("generate", manifest, tmp_path / "kites")
    assert (ended.status, ended.stdout) == (2, "")
    assert "set TRINETRA_API_KEY" in ended.stderr


def test_a_missing_manifest_is_one_clear_sentence(tmp_path: Path) -> None:
    """It names the file."""
    ended = trinetra("plan", tmp_path / "none.csv", tmp_path / "kites")
    assert ended.status == 2
    assert ended.stderr.count("\n") == 1
    assert "none.csv does not exist" in ended.stderr


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    """The sentence is still the last line."""
    ended = trinetra("plan", tmp_path / "none.csv", tmp_path / "kites", "--debug")
    assert ended.stderr.startswith("Traceback")
    assert ended.stderr.splitlines()[-1].startswith("prefect-trinetra: ")


def test_a_dataset_of_another_origin_is_refused(manifest: Path, tmp_path: Path) -> None:
    """Sandbox pictures never pass for bought ones: nothing is sent."""
    with running_sandbox(job_seconds=0, pixels=32) as first:
        trinetra("generate", manifest, tmp_path / "kites", sandbox=first)
        with running_sandbox(job_seconds=0, pixels=32) as second:
            ended = trinetra("generate", manifest, tmp_path / "kites", "--n", 2, sandbox=second)
            assert second.bill()["submits"] == 0
    assert ended.status == 2
    assert "holds images of" in ended.stderr


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    """One line, exit status 0."""
    ended = trinetra("--version", cwd=tmp_path)
    assert (ended.status, ended.stdout.count("\n")) == (0, 1)
