"""An export on the Hub: everything arrives, nothing of before is left, and what goes wrong is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from command import trinetra
from exports import kites, sha256
from fake_hub import FakeHub, running_hub
from prefect_trinetra.sandbox.process import SandboxHandle

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset(session_shop: SandboxHandle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kites(session_shop, tmp_path_factory.mktemp("dataset"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub, and the environment of the commands that talk to it."""
    with running_hub(tmp_path / "hub") as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def files(folder: Path) -> dict[str, str]:
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): sha256(path.read_bytes()) for path in paths}


def test_an_export_is_pushed_whole(hub: FakeHub, dataset: Path, tmp_path: Path) -> None:
    """Every file with its bytes, into a private repository that is made; the card names the repository."""
    ended = trinetra("export", dataset, tmp_path / "out", "--format", "parquet", "--push-to-hub", "ann/kites", "--json")
    assert ended.status == 0, ended.stderr
    assert ended.document["hub_url"] == f"{hub.url}/datasets/ann/kites"
    assert hub.files("ann/kites") == files(tmp_path / "out")
    assert hub.private == {"ann/kites": True}
    card = (hub.folder / "ann" / "kites" / "README.md").read_text()
    assert 'load_dataset("ann/kites", split="train")' in card
    assert hub.commits[-1][-1] == "README.md"
    assert str(tmp_path) not in card


def test_a_second_push_replaces_the_first(hub: FakeHub, dataset: Path, tmp_path: Path) -> None:
    """No file of another export stays among the new ones; what the hub has is not sent again."""
    words = ("export", dataset, tmp_path / "out", "--push-to-hub", "ann/kites", "--public")
    assert trinetra(*words).status == 0
    sent = len(hub.uploads)
    assert trinetra(*words).status == 0
    assert len(hub.uploads) == sent
    assert trinetra(*words, "--where", "label=sea", "--overwrite").status == 0
    assert hub.files("ann/kites") == files(tmp_path / "out")
    assert hub.private == {"ann/kites": False}


def test_a_refused_push_is_told_and_goes_on(hub: FakeHub, dataset: Path, tmp_path: Path) -> None:
    """The export itself is there; the same command again pushes it."""
    words = ("export", dataset, tmp_path / "out", "--push-to-hub", "ann/kites")
    hub.refusals = 1
    ended = trinetra(*words)
    assert ended.status == 2
    assert "uploading" in ended.stderr
    assert "run the same export again to go on" in ended.stderr
    assert "hf_made_up" not in ended.stderr
    assert trinetra(*words).status == 0
    assert hub.files("ann/kites") == files(tmp_path / "out")


def test_without_a_login_nothing_is_written(
    hub: FakeHub, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said before hours of exporting, with what to do."""
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    ended = trinetra("export", dataset, tmp_path / "out", "--push-to-hub", "ann/kites")
    assert ended.status == 2
    assert "set HF_TOKEN" in ended.stderr
    assert not (tmp_path / "out").exists()
    assert not hub.commits
