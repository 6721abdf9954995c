"""A table in memory becomes a manifest whose name says what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from manifests import prompts, read
from prefect_trinetra.errors import ManifestError
from prefect_trinetra.table import write_table

ROWS = [{"prompt": "a fox", "id": 1}, {"prompt": "a cat", "id": 2}]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        iter(ROWS),
        pa.Table.from_pylist(ROWS),
        pa.Table.from_pylist(ROWS).cast(pa.schema({"prompt": pa.string_view(), "id": pa.int64()})),
        pa.RecordBatch.from_pylist(ROWS),
        pd.DataFrame(ROWS),
    ],
)
def test_equal_rows_become_one_file_of_one_name(rows: Any, tmp_path: Path) -> None:
    """Dictionaries and tables of any library alike: writing it again writes nothing new."""
    name, data = write_table(rows)
    assert name == write_table(ROWS)[0]
    (tmp_path / name).write_bytes(data)
    found = read(str(tmp_path / name))
    assert prompts(found) == ["a fox", "a cat"]
    assert [row.columns for row in found] == [{"id": 1}, {"id": 2}]


def test_other_rows_get_another_name() -> None:
    """So a manifest that a run has planned is never overwritten."""
    assert write_table(ROWS)[0] != write_table(ROWS[:1])[0]


def test_dictionaries_need_not_be_alike(tmp_path: Path) -> None:
    """Columns are the union of all names; what no one type holds is text."""
    name, data = write_table([{"prompt": "a", "tags": ["x"]}, {"Prompt": "b", "v": 1}, {"prompt": "c", "v": "one"}])
    (tmp_path / name).write_bytes(data)
    rows = read(str(tmp_path / name))
    assert prompts(rows) == ["a", "b", "c"]
    assert [row.columns for row in rows] == [
        {"tags": '["x"]', "v": None},
        {"tags": None, "v": "1"},
        {"tags": None, "v": "one"},
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "holds no dictionary"),
        (pa.table({"prompt": pa.array([], pa.string())}), "has no rows"),
        ([{"prompt": "a", "Prompt": "b"}], "row 1: two of its names differ in case"),
        ("a.csv", "a str is no manifest: give a table"),
        ({"prompt": ["a"]}, "a dict is no manifest"),
        (7, "a int is no manifest"),
        ([{"prompt": "a fox"}, "a fox"], "row 2: it is no dictionary .*; give a table"),
        (pa.table([["a"], ["b"]], names=["prompt", "Prompt"]), "two columns of one name"),
        (pd.DataFrame({"prompt": ["a", 1]}), "can't become an Arrow table"),
    ],
)
def test_what_is_no_table_is_refused(rows: Any, said: str) -> None:
    """With what to give instead."""
    with pytest.raises(ManifestError, match=said):
        write_table(rows)
