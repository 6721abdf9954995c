"""CSV manifests: cells stay as written, and a bad record is a bad row, not a bad file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import error, prompts, read, requests, written
from prefect_trinetra.errors import ManifestError
from prefect_trinetra.manifest import Manifest


def test_a_row_is_a_request_and_the_columns_that_are_no_field_of_it(tmp_path: Path) -> None:
    """Fields are found by name; every other cell is carried through as text, `0001` too."""
    path = written(tmp_path / "a.csv", "id,PROMPT, Quality ,n\n0001,a red fox,LOW,2\n")
    row = read(path)[0]
    assert (row.number, row.source, row.columns) == (1, f"{path}, line 2", {"id": "0001"})
    assert row.request is not None
    assert row.request.body() == {"prompt": "a red fox", "quality": "low", "n": 2, "output_format": "png"}


def test_quoted_cells_hold_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    """As every spreadsheet writes them; later rows still know their line."""
    path = written(tmp_path / "a.csv", 'prompt,id\r\n"a ""red"" fox,\r\non two lines",1\r\nb,2\r\n')
    rows = read(path)
    assert prompts(rows) == ['a "red" fox,\r\non two lines', "b"]
    assert [row.source for row in rows] == [f"{path}, line 2", f"{path}, line 4"]


def test_a_prompt_is_not_trimmed(tmp_path: Path) -> None:
    """It is sent and hashed exactly as read."""
    assert prompts(read(written(tmp_path / "a.csv", "prompt,id\n  a fox ,1\n"))) == ["  a fox "]


def test_an_empty_cell_means_not_given(tmp_path: Path) -> None:
    """Empty and blank cells of optional fields fall back to the defaults."""
    path = written(tmp_path / "a.csv", "prompt,quality,n,user,output_compression\nx,, ,,\n")
    (request,) = requests(read(path))
    assert request.body() == {"prompt": "x", "quality": "medium", "n": 1, "output_format": "png"}


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    """A blank line at the end, or between records, is nothing that anybody asked for."""
    assert prompts(read(written(tmp_path / "a.csv", "\nprompt\n\na\n\r\nb\n\n"))) == ["a", "b"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("a", "it has 1 cells where the header names 2 columns"),
        ("a,1,2", "it has 3 cells where the header names 2 columns"),
        (",1", "prompt is blank: write what the picture is to show"),
        ('"a" fox,1', "a quoted cell goes on after its closing quote"),
        ("a\rb,1", "it holds a bare carriage return"),
        ("a\0b,1", "prompt holds a NUL character"),
    ],
)
def test_a_bad_record_is_one_invalid_row(tmp_path: Path, record: str, reason: str) -> None:
    """The rows around it are read all the same."""
    rows = read(written(tmp_path / "a.csv", f"prompt,id\nbefore,1\n{record}\nafter,2\n"))
    assert prompts([rows[0], rows[2]]) == ["before", "after"]
    assert error(rows[1:2]).startswith(reason)
    assert [row.number for row in rows] == [1, 2, 3]


def test_a_quote_that_is_never_closed_is_a_torn_file(tmp_path: Path) -> None:
    """It swallows all rows after it, so no row can be trusted: the message names the line of the quote."""
    path = written(tmp_path / "a.csv", 'prompt,id\nx,1\n"a,2\nb,3\n')
    with pytest.raises(ManifestError, match=r"a\.csv: line 3 opens a quote that is never closed"):
        read(path)


def test_a_large_cell_is_read(tmp_path: Path) -> None:
    """The csv module's own limit is 128 KiB; columns beside the prompt may be larger."""
    large = "x" * 2_000_000
    assert read(written(tmp_path / "a.csv", f"prompt,data\na,{large}\n"))[0].columns == {"data": large}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty: its first line must name the columns"),
        ("prompt,Prompt\na,b\n", "has two columns of one name, prompt and Prompt"),
        ("prompt;quality\na;low\n", "separate cells with commas"),
        ("prompt\tquality\na\tlow\n", "with tabs in a .tsv file"),
        ("p\0r\0o\0,\0\n", "does not name columns"),
        ('"pro"mpt\na\n', "does not name columns"),
        ("prompt\n", "has no rows"),
    ],
)
def test_a_file_that_is_no_table_is_one_clear_error(tmp_path: Path, content: str, reason: str) -> None:
    """What concerns the whole file is said once, not for every row."""
    with pytest.raises(ManifestError, match=reason):
        read(written(tmp_path / "a.csv", content))


def test_a_nameless_column_is_called_after_its_position(tmp_path: Path) -> None:
    """pandas writes its index so."""
    assert read(written(tmp_path / "a.csv", ",prompt\n7,x\n"))[0].columns == {"column_1": "7"}


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(rows=st.lists(st.tuples(st.integers(0, 99), cells, cells), min_size=1, max_size=8))
def test_what_a_csv_writer_wrote_is_what_is_read(
    rows: list[tuple[int, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any text comes through a standard CSV file unchanged."""

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = [f"{number},{quoted('p' + prompt)},{quoted(note)}\n" for number, prompt, note in rows]
    path = written(tmp_path_factory.mktemp("law") / "a.csv", "id,prompt,note\n" + "".join(lines))
    found = read(path)
    assert prompts(found) == ["p" + prompt for _, prompt, _ in rows]
    assert [row.columns for row in found] == [{"id": str(number), "note": note} for number, _, note in rows]


def test_reading_twice_gives_one_fingerprint(tmp_path: Path) -> None:
    """It is known after a full pass, and changes with any byte that is read."""
    manifest = Manifest.open(written(tmp_path / "a.csv", "prompt\na\n"))
    with pytest.raises(RuntimeError, match="to its end"):
        _ = manifest.fingerprint
    fingerprints = []
    for _ in range(2):
        list(manifest.rows())
        fingerprints.append(manifest.fingerprint)
    written(tmp_path / "a.csv", "prompt\nb\n")
    list(manifest.rows())
    assert fingerprints[0] == fingerprints[1] != manifest.fingerprint
