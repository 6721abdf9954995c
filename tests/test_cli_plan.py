"""`plan`: what a run would do with each kind of row, in words that name the rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import trinetra
from prefect_trinetra.sandbox.process import running_sandbox
from runs import run

MANIFEST = """prompt,quality
a red kite,low
a blue kite,
a red kite,low
a grey kite,ultra
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "kites.csv"
    path.write_text(MANIFEST)
    return path


def test_a_plan_needs_no_key_and_names_the_rows(manifest: Path, tmp_path: Path) -> None:
    """Duplicates with both row numbers, invalid rows with their reason, the bound of each quality."""
    ended = trinetra("plan", manifest, tmp_path / "kites")
    assert ended.status == 0, ended.stderr
    assert "to buy              2  at most 10 credits\n" in ended.stdout
    assert "  low               1  1 image, at most 3 credits\n" in ended.stdout
    assert "  medium            1  1 image, at most 7 credits\n" in ended.stdout
    assert "row 3 asks for the same as row 1" in ended.stdout
    assert "row 4 (" in ended.stdout
    assert "line 5): quality: 'ultra' is not low, medium, high or auto" in ended.stdout
    assert not (tmp_path / "kites").exists()


def test_what_does_not_fit_under_the_cap_is_told_apart(manifest: Path, tmp_path: Path) -> None:
    """The bound is then the cap's share."""
    ended = trinetra("plan", manifest, tmp_path / "kites", "--max-credits", 5, "--json")
    document = ended.document
    assert (document["credits_bound"], document["over_cap"], document["images"]) == (5, 1, 1)
    assert document["outcomes"] | {"pending": 2, "over_budget": 1, "invalid": 1} == document["outcomes"]
    assert "over the cap        1  7 credits more than the cap covers" in ended.stderr


def test_kept_and_unknown_rows_are_told_apart(manifest: Path, tmp_path: Path) -> None:
    """A row that may have been ordered is not sent again unless the user says so."""
    with running_sandbox(job_seconds=0, pixels=32) as sandbox:
        run(sandbox, str(manifest), tmp_path / "kites", max_credits=5)
        sandbox.set_faults(error_after=1)
        run(sandbox, str(manifest), tmp_path / "kites")
    found = trinetra("plan", manifest, tmp_path / "kites", "--json").document
    again = trinetra("plan", manifest, tmp_path / "kites", "--json", "--retry", "unknown").document
    assert (found["kept"], found["to_buy"]) == (2, 0)
    assert (found["unknown"], found["unknown_at_most"]) == (1, 7)
    assert found["outcomes"] | {"succeeded": 2, "unknown": 1} == found["outcomes"]
    assert (again["to_buy"], again["credits_bound"]) == (1, 7)
