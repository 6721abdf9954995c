"""Temporary names, and creating where the file system has no hard links."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.local_files import _open_new, is_temporary, temporary_name
from prefect_trinetra.storage import image_name

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


def test_a_temporary_name_is_known_in_any_folder() -> None:
    """And no two are alike."""
    assert is_temporary(temporary_name())
    assert is_temporary(f"images/ab/{temporary_name()}")
    assert len({temporary_name() for _ in range(100)}) == 100


@given(key=HEX, index=st.integers(0, 3), sha256=HEX)
def test_no_image_has_a_temporary_name(key: str, index: int, sha256: str) -> None:
    """Or it would be stored and never listed."""
    assert not is_temporary(image_name(key, index, sha256, "png"))


def test_creating_without_links_is_exclusive_too(tmp_path: Path) -> None:
    """Some file systems have no hard links: the name is taken first and filled then."""
    assert _open_new(tmp_path / "lease", b"1")
    assert not _open_new(tmp_path / "lease", b"2")
    assert (tmp_path / "lease").read_bytes() == b"1"
