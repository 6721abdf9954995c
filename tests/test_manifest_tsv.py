"""TSV manifests: their writers disagree about quotes, and prompts are full of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests import error, prompts, read, written


def test_parti_prompts_are_read_exactly_as_written(parti_prompts: Path) -> None:
    """1,632 real prompts, some of which begin with a quoted word."""
    lines = parti_prompts.read_bytes().decode().split("\n")[1:-1]
    rows = read(str(parti_prompts))
    assert prompts(rows) == [line.split("\t")[0] for line in lines]
    assert len(rows) == 1632
    assert list(rows[0].columns) == ["Category", "Challenge", "Note"]


def test_a_quote_in_a_plain_cell_is_a_character(tmp_path: Path) -> None:
    """Files that are only split at tabs keep their quotes, at the beginning of a cell too."""
    path = written(tmp_path / "a.tsv", 'prompt\tid\n"STOP" on a sign\t1\na 5" nail\t2\n"open\t3\n')
    assert prompts(read(path)) == ['"STOP" on a sign', 'a 5" nail', '"open']


def test_well_formed_quotes_are_those_of_a_spreadsheet(tmp_path: Path) -> None:
    """Excel and pandas quote cells that hold quotes, tabs and line ends; later rows still know their line."""
    path = written(tmp_path / "a.tsv", 'prompt\tid\r\n"a ""red""\tfox\non two lines"\t1\r\nb\t2\r\n')
    rows = read(path)
    assert prompts(rows) == ['a "red"\tfox\non two lines', "b"]
    assert [row.source[-6:] for row in rows] == ["line 2", "line 4"]


def test_an_open_quote_takes_no_other_row_along(tmp_path: Path) -> None:
    """Lines that were looked at for a closing quote are read as the rows that they are."""
    lines = [f'"{number} open\t{number}\n' for number in range(300)]
    rows = read(written(tmp_path / "a.tsv", "prompt\tid\n" + "".join(lines)))
    assert prompts(rows) == [f'"{number} open' for number in range(300)]
    assert rows[-1].source.endswith("line 301")


@pytest.mark.parametrize("record", ["a", "a\t1\t2"])
def test_a_ragged_record_is_one_invalid_row(tmp_path: Path, record: str) -> None:
    """Too few and too many cells are told, with both numbers."""
    rows = read(written(tmp_path / "a.tsv", f"prompt\tid\n{record}\nb\t2\n\n"))
    assert error(rows[:1]).endswith("cells where the header names 2 columns")
    assert prompts(rows[1:]) == ["b"]


plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='\0\t\r\n"'), max_size=12)


@given(rows=st.lists(st.tuples(plain, plain), min_size=1, max_size=8))
def test_plain_cells_are_read_as_they_are(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without tabs, line ends and quotes nothing has to be agreed on."""
    text = "prompt\tnote\n" + "".join(f"p{prompt}\t{note}\n" for prompt, note in rows)
    found = read(written(tmp_path_factory.mktemp("law") / "a.tsv", text))
    assert [(prompt, row.columns["note"]) for prompt, row in zip(prompts(found), found, strict=True)] == [
        (f"p{prompt}", note) for prompt, note in rows
    ]
