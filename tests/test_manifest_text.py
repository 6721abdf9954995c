"""What all text manifests share, and the plainest: one prompt a line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from manifests import error, prompts, read, written
from prefect_trinetra.errors import ManifestError


def test_each_line_is_a_prompt_as_it_stands(tmp_path: Path) -> None:
    """Only the line end goes, in either form; blank lines are skipped, and lines are counted with them."""
    rows = read(written(tmp_path / "a.txt", '  a fox \r\n\n \t\n"b", c\td\n{"e": 1}\rf'))
    assert prompts(rows) == ["  a fox ", '"b", c\td', '{"e": 1}\rf']
    assert [row.source[-6:] for row in rows] == ["line 1", "line 4", "line 5"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "雪\n"),
        ("a.csv", "prompt\n雪\n"),
        ("a.tsv", "prompt\n雪\n"),
        ("a.jsonl", '{"prompt": "雪"}\n'),
        ("a.ndjson", '{"prompt": "雪"}\n'),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_utf_8_is_read_with_and_without_mark_and_gzip(
    tmp_path: Path, name: str, content: str, mark: str, suffix: str
) -> None:
    """Excel puts a byte order mark before its UTF-8; the first column's name must not keep it."""
    assert prompts(read(written(tmp_path / (name + suffix), mark + content))) == ["雪"]


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    """A Latin-1 file is not guessed at: the words of its prompts would change."""
    path = written(tmp_path / "a.csv", "prompt\nfox\ncafé\n".encode("latin-1"))
    with pytest.raises(ManifestError, match=r"a\.csv: line 3 is not UTF-8 \(byte 0xe9 at 4\): save the file as"):
        read(path)


def test_utf_16_is_named_at_its_first_line(tmp_path: Path) -> None:
    """Excel's "Unicode text"."""
    with pytest.raises(ManifestError, match=r"a\.tsv: line 1 is not UTF-8"):
        read(written(tmp_path / "a.tsv", "prompt\nfox\n".encode("utf-16")))


def test_a_nul_character_spoils_its_row_only(tmp_path: Path) -> None:
    """A file system that lost power leaves such lines."""
    rows = read(written(tmp_path / "a.txt", "a\n\0\0\nb\n"))
    assert error(rows[1:2]).startswith("prompt holds a NUL character")


def test_a_line_without_end_is_no_text(tmp_path: Path) -> None:
    """Memory stays flat also where somebody gives a binary file a text file's name."""
    with pytest.raises(ManifestError, match=r"line 2 is longer than 16 MiB"):
        read(written(tmp_path / "a.txt", b"a\n" + b"x" * (17 * 2**20)))


@pytest.mark.parametrize("damage", ["cut", "flipped", "no gzip"])
def test_a_damaged_gzip_file_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    """Half of a manifest must not pass for a whole one."""
    whole = gzip.compress("".join(f"prompt number {number}\n" for number in range(50_000)).encode())
    half = len(whole) // 2
    flipped = whole[:half] + bytes([whole[half] ^ 0xFF]) + whole[half + 1 :]
    path = tmp_path / "a.txt.gz"
    path.write_bytes({"cut": whole[:half], "flipped": flipped, "no gzip": b"a\nb\n"}[damage])
    with pytest.raises(ManifestError, match=r"a\.txt\.gz breaks off after line \d+ "):
        read(str(path))


def test_a_file_of_blank_lines_has_no_rows(tmp_path: Path) -> None:
    """There is nothing to do, which is more likely a mistake than a wish."""
    with pytest.raises(ManifestError, match="has no rows: there is nothing to do"):
        read(written(tmp_path / "a.txt", "\n\n"))
