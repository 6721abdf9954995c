"""What `demo` refuses. Whether it keeps its promises it says itself: `make demo` fails where it does not."""

from __future__ import annotations

from pathlib import Path

from command import trinetra


def test_a_demo_overwrites_nothing(tmp_path: Path) -> None:
    """A folder that exists is left alone."""
    (tmp_path / "demo").mkdir()
    ended = trinetra("demo", "--folder", tmp_path / "demo")
    assert ended.status == 2
    assert "overwrites nothing" in ended.stderr
    assert list((tmp_path / "demo").iterdir()) == []
