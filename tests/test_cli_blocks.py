"""Blocks by name on the command line: whose account it is, and where things lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_trinetra.cli.app import run_command
from prefect_trinetra.sandbox.process import running_sandbox

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two storage blocks (ours and Prefect's own) and a manifest in one of them."""
    from prefect.filesystems import LocalFileSystem

    from prefect_trinetra.blocks.storage import DatasetStorage

    DatasetStorage(root=str(tmp_path / "store")).save("pictures", overwrite=True)
    LocalFileSystem(basepath=str(tmp_path)).save("here", overwrite=True)
    (tmp_path / "kites.txt").write_text("a kite\n")
    return tmp_path


def test_account_and_places_come_from_blocks(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The account's own prices count, and names are relative to the blocks' roots."""
    from prefect_trinetra.blocks.credentials import TrinetraCredentials

    with running_sandbox(job_seconds=0, pixels=32, credits_per_image={"medium": 5}) as sandbox:
        block = TrinetraCredentials(
            api_key=sandbox.api_key,  # type: ignore[arg-type]  # pydantic makes a SecretStr of it
            base_url=sandbox.url,
            credits_per_image={"medium": 5},
        )
        block.save("sandbox", overwrite=True)
        words = ["kites.txt", "kites", "--storage", "pictures", "--manifest-storage", "local-file-system/here"]
        status = run_command(["generate", *words, "--credentials", "sandbox"])
    assert status == 0, capfd.readouterr().err
    assert "at most 5 credits" in capfd.readouterr().err
    assert (place / "store" / "kites" / "metadata.parquet").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--storage", "nowhere"], "Prefect has no block dataset-storage/nowhere"),
        (["--credentials", "dataset-storage/pictures"], "holds no credentials"),
    ],
)
def test_a_block_that_is_not_there_or_something_else_is_named(
    words: list[str], said: str, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2."""
    assert run_command(["plan", str(place / "kites.txt"), str(place / "kites"), *words]) == 2
    assert said in capfd.readouterr().err
