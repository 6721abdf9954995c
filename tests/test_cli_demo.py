"""`demo`: from nothing to a dataset through Prefect, in one command."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from command import trinetra


@pytest.mark.prefect
@pytest.mark.slow
def test_the_demo_makes_a_dataset_and_proves_what_it_promises(tmp_path: Path) -> None:
    """Every outcome is shown, bill and ledger agree, the second run is free, and the pictures are on one sheet."""
    ended = trinetra("demo", tmp_path / "demo")
    assert ended.status == 0, ended.stderr
    assert "24 pictures from 27 rows" in ended.stdout
    assert "✓ the sandbox's bill says 92 credits, the dataset's ledger 92" in ended.stdout
    assert "✓ the second run sent 0 orders and cost 0 credits" in ended.stdout
    assert "Traceback" not in ended.stderr
    files = pq.read_table(tmp_path / "demo" / "dataset" / "metadata.parquet")["file_name"].to_pylist()
    assert all((tmp_path / "demo" / "dataset" / name).is_file() for name in files)
    with Image.open(tmp_path / "demo" / "contact-sheet.png") as sheet:
        assert sheet.width == 1600
    assert (tmp_path / "demo" / "dataset" / "gallery" / "index.html").is_file()


def test_a_demo_overwrites_nothing(tmp_path: Path) -> None:
    """A folder that exists is left alone."""
    (tmp_path / "demo").mkdir()
    ended = trinetra("demo", "--folder", tmp_path / "demo")
    assert ended.status == 2
    assert "overwrites nothing" in ended.stderr
    assert list((tmp_path / "demo").iterdir()) == []
