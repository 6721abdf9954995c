"""`prefect-trinetra export`, as people type it."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import trinetra
from exports import kites, metadata
from prefect_trinetra.sandbox.process import SandboxHandle


@pytest.fixture
def dataset(session_shop: SandboxHandle, tmp_path: Path) -> Path:
    return kites(session_shop, tmp_path)


def test_what_came_of_it_is_told(dataset: Path, tmp_path: Path) -> None:
    """Splits, files, what was left out and why; no progress bar where nobody watches."""
    words = ["export", dataset, tmp_path / "out", "--split", "train=0.5", "--split", "test=0.5"]
    words += ["--where", "label=sea", "--drop", "user,tags"]
    ended = trinetra(*words)
    assert ended.status == 0
    lines = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert any(line.startswith("train ") and "1 file" in line for line in lines)
    assert "left out 12 their rows do not fit --where" in lines
    assert lines[-1] == f"{tmp_path}/out webdataset, with README.md and croissant.json"
    again = trinetra(*words, "--json")
    assert again.document["is_complete"]
    assert set(again.document["splits"]) == {"train", "test"}


def test_a_damaged_image_is_named_and_exits_with_1(dataset: Path, tmp_path: Path) -> None:
    """A schedule notices; the other images are there."""
    gone = next(iter(metadata(dataset).values()))["file_name"]
    (dataset / gone).write_bytes(b"half a")
    ended = trinetra("export", dataset, tmp_path / "out", "--format", "imagefolder")
    assert ended.status == 1
    assert f"{gone}: the file's bytes are not those that were recorded" in " ".join(ended.stdout.split())
    assert len(list((tmp_path / "out").rglob("*.png"))) == 17


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--split", "train"), "write it as --split train=0.9"),
        (("--split", "train=0.9"), "make them add up to 1"),
        (("--where", "label"), "write it as --where label=sea"),
        (("--without", "ugly"), "choose from suspect, duplicate"),
        (("--format", "tfrecord"), "webdataset"),
        (("--push-to-hub", "kites"), "write it as OWNER/NAME"),
        (("--to-storage", "prod", "--to-option", "a=b"), "both given"),
    ],
)
def test_bad_words_are_one_sentence(dataset: Path, tmp_path: Path, flags: tuple[str, ...], sentence: str) -> None:
    """On stderr, status 2, nothing written."""
    ended = trinetra("export", dataset, tmp_path / "out", *flags)
    assert ended.status == 2
    assert sentence in ended.stderr
    assert not (tmp_path / "out").exists()
