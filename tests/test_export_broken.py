"""Exports that are interrupted, or run out of room: one sentence, nothing half, and they go on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from command import started, trinetra, wait_until
from full_disk import full_disk
from prefect_trinetra.export.spec import ExportFormat
from synthetic import synthetic_dataset

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_dataset(tmp_path_factory.mktemp("dataset") / "kites", images=1_500, image_bytes=20_000)


@pytest.mark.parametrize("name", [*ExportFormat])
def test_a_full_disk_is_one_sentence(dataset: Path, tmp_path: Path, name: str) -> None:
    """The target has no room for all of it: it is said once, and with room the same command finishes."""
    target = tmp_path / "small"
    target.mkdir()
    words = ("export", dataset, target / "out", "--format", name, "--max-shard-megabytes", "2")
    with full_disk(target, megabytes=12):
        ended = trinetra(*words)
        assert ended.status == 2
        assert ended.stderr.count("the disk is full: make room, then run again") == 1
        assert len(ended.stderr.splitlines()) == 1
        assert (target / "out" / "export.json").is_file()


def test_no_room_to_build_a_shard_is_said_of_that_disk(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder for temporary files is named, and the variable that chooses another."""
    (tmp_path / "small").mkdir()
    with full_disk(tmp_path / "small", megabytes=8):
        monkeypatch.setenv("TMPDIR", str(tmp_path / "small"))
        ended = trinetra("export", dataset, tmp_path / "out")
    assert ended.status == 2
    assert f"building {tmp_path}/small/" in ended.stderr
    assert "TMPDIR" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_interrupted_export_says_nothing_odd_and_goes_on(dataset: Path, tmp_path: Path) -> None:
    """Ctrl-C: no traceback; the same command keeps the files that are whole."""
    words = ("export", dataset, tmp_path / "out", "--max-shard-megabytes", "1")
    with started(*words) as process:
        done = tmp_path / "out" / ".done"
        wait_until(lambda: len(list(done.rglob("*.json"))) >= 2, "two files are whole")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    again = trinetra(*words, "--json").document
    assert again["kept"] >= 2
    assert again["images"] == 1_500
