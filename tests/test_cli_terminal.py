"""On a terminal: the bound and a question before anything is spent, then a line that moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from command import on_terminal
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from runs import run

pytestmark = pytest.mark.slow

QUESTION = "Spend up to 14 credits? "


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0.5, job_sigma=0, pixels=32) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: SandboxHandle) -> SandboxHandle:
    shared_sandbox.reset()
    return shared_sandbox


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "kites.txt"
    path.write_text("a red kite\na blue kite\n")
    return path


def test_no_means_that_nothing_is_ordered(sandbox: SandboxHandle, manifest: Path, tmp_path: Path) -> None:
    """The bound stands in the question; no is exit status 2."""
    with on_terminal("generate", manifest, tmp_path / "kites", sandbox=sandbox) as screen:
        screen.read_until(QUESTION)
        screen.type("n\n")
        assert screen.end() == 2
    assert "Nothing was ordered." in screen.text
    assert sandbox.bill()["submits"] == 0


def test_yes_is_followed_by_a_live_line(sandbox: SandboxHandle, manifest: Path, tmp_path: Path) -> None:
    """Done, in flight, failed, credits, images/s; then what became of the rows."""
    with on_terminal("generate", manifest, tmp_path / "kites", sandbox=sandbox) as screen:
        screen.read_until(QUESTION)
        screen.type("y\n")
        screen.read_until("0/2 rows")
        screen.read_until("2 in flight")
        assert screen.end() == 0
    assert "succeeded" in screen.text
    assert sandbox.bill()["images"] == 2


def test_yes_can_be_said_beforehand(sandbox: SandboxHandle, manifest: Path, tmp_path: Path) -> None:
    """With --yes nothing is asked."""
    with on_terminal("generate", manifest, tmp_path / "kites", "--yes", sandbox=sandbox) as screen:
        assert screen.end() == 0
    assert "Spend up to" not in screen.text


def test_a_run_that_costs_nothing_asks_nothing(sandbox: SandboxHandle, manifest: Path, tmp_path: Path) -> None:
    """A finished dataset is kept as it is."""
    run(sandbox, str(manifest), tmp_path / "kites")
    with on_terminal("generate", manifest, tmp_path / "kites", sandbox=sandbox) as screen:
        assert screen.end() == 0
    assert "Spend up to" not in screen.text
