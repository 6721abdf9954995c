"""Which files a manifest is made of: names, globs, lists, other file systems, rows in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests import error, prompts, read, written
from prefect_trinetra.errors import ConfigurationError, ManifestError
from prefect_trinetra.inputs import expand_globs, open_input, shown_url
from prefect_trinetra.manifest import Manifest


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in memory, empty before and after."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    yield fs
    fs.store.clear()


def test_a_glob_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    """Rows are numbered on across the files."""
    for name in ("b", "c", "a"):
        written(tmp_path / f"{name}.csv", f"prompt\n{name}1\n{name}2\n")
    rows = read(f"{tmp_path}/*.csv")
    assert prompts(rows) == ["a1", "a2", "b1", "b2", "c1", "c2"]
    assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[3].source == f"{tmp_path}/b.csv, line 3"


def test_a_list_of_files_is_read_in_its_own_order(tmp_path: Path) -> None:
    """Formats may be mixed; a column that a file lacks is empty there."""
    paths = [
        written(tmp_path / "z.jsonl", '{"prompt": "z", "id": 1}\n'),
        written(tmp_path / "a.csv", "Prompt,Tag,ID\na,t,0001\n"),
        written(tmp_path / "m.txt", "m\n"),
    ]
    rows = read(paths)
    assert prompts(rows) == ["z", "a", "m"]
    assert [row.columns for row in rows] == [
        {"id": "1", "Tag": None},
        {"id": "0001", "Tag": "t"},
        {"id": None, "Tag": None},
    ]


def test_types_that_differ_between_files_become_text(tmp_path: Path) -> None:
    """Types that agree stay; lists turn into JSON."""
    for name, extra in (("a", pa.array([1])), ("b", pa.array([[1, 2]]))):
        columns = {"prompt": [name], "same": pa.array([7], pa.int16()), "extra": extra}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    manifest = Manifest.open(f"{tmp_path}/*.parquet")
    assert manifest.schema == pa.schema({"same": pa.int16(), "extra": pa.string()})
    assert [row.columns for row in manifest.rows()] == [
        {"same": 7, "extra": "1"},
        {"same": 7, "extra": "[1,2]"},
    ]


def test_a_name_with_brackets_is_a_name_where_it_exists(tmp_path: Path) -> None:
    """`prompts[1].csv` is a file before it is a pattern."""
    assert prompts(read(written(tmp_path / "a[1].csv", "prompt\nx\n"))) == ["x"]


def test_files_are_read_from_any_file_system(memory: Any) -> None:
    """Globs keep the address of their file system, and see what was just written."""
    assert expand_globs("memory://m/none.csv") == ["memory://m/none.csv"]
    memory.pipe({"/m/a.csv": b"prompt\na\n", "/m/b.csv": b"prompt\nb\n", "/m/deep/c.csv": b"prompt\nc\n"})
    assert [name.replace(":///", "://") for name in expand_globs("memory://m/*.csv")] == [
        "memory://m/a.csv",
        "memory://m/b.csv",
    ]
    assert prompts(read("memory://m/**/*.csv")) == ["a", "b", "c"]
    with open_input("memory://m/a.csv") as file:
        assert file.read() == b"prompt\na\n"


def test_a_file_in_an_archive_is_read(tmp_path: Path) -> None:
    """fsspec chains: a glob inside a zip."""
    archive = fsspec.filesystem("zip", fo=str(tmp_path / "a.zip"), mode="w")
    archive.pipe("one.csv", b"prompt\na\n")
    archive.close()
    assert prompts(read(f"zip://*.csv::{tmp_path}/a.zip")) == ["a"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.csv", r"none\.csv does not exist: check the path"),
        ("*.tsv", r"no file matches .*/\*\.tsv: check the path and the pattern"),
        ("folder", r"folder is a folder: name its files with a glob, such as .*/folder/\*\.csv"),
        ("folder.csv", r"folder\.csv is a folder: name its files with a glob"),
        ("a.xlsx", r"a\.xlsx has no ending .*: a manifest ends in \.csv, \.tsv, \.jsonl, \.ndjson and \.txt"),
        ("a.parquet.gz", r"a\.parquet\.gz has no ending"),
        ("a.csv/b.csv", r"b\.csv can't be read: Not a directory"),
    ],
)
def test_a_name_that_is_no_manifest_is_one_clear_error(tmp_path: Path, name: str, said: str) -> None:
    """It says what is there and what to do."""
    for folder in ("folder", "folder.csv"):
        (tmp_path / folder).mkdir()
    written(tmp_path / "a.csv", "prompt\nx\n")
    with pytest.raises(ManifestError, match=said):
        read(str(tmp_path / name))


def test_an_address_that_nothing_can_open_is_a_configuration_error() -> None:
    """A misspelt scheme; of a chain, the link that is misspelt."""
    with pytest.raises(ConfigurationError, match=r"s4://bucket/a\.csv: there is no way to open it .*s4"):
        read("s4://bucket/a.csv")
    with pytest.raises(ConfigurationError, match=r"zip://a\.csv::s4://bucket/a\.zip: there is no way to open it .*s4"):
        read("zip://a.csv::s4://bucket/a.zip")


def test_no_secret_of_an_address_is_shown() -> None:
    """User names, passwords and signed queries stay out of messages and of the rows' sources."""
    url = "https://me:pass@files.example/a.csv?X-Amz-Signature=abc"
    assert shown_url(url) == "https://files.example/a.csv"
    with pytest.raises(ManifestError) as caught:
        read("ftp-like.example/a?token=abc.tsx")
    assert "no file matches" in str(caught.value)


def test_rows_in_memory_are_a_manifest() -> None:
    """Dictionaries, as a flow hands them over; each is known by its number."""
    rows = read([{"Prompt": "a", "n": 2, "id": 7}, {"prompt": "b", "id": None}, "no row"][:2])
    assert prompts(rows) == ["a", "b"]
    assert [(row.source, row.columns) for row in rows] == [("row 1", {"id": 7}), ("row 2", {"id": None})]


def test_a_program_may_break_off_and_begin_again(tmp_path: Path) -> None:
    """Each call of rows() begins at the first row."""
    manifest = Manifest.open(written(tmp_path / "a.txt", "a\nb\n"))
    assert next(manifest.rows()).number == 1
    assert [row.number for row in manifest.rows()] == [1, 2]


def test_a_value_in_memory_that_json_lacks_is_carried_as_text() -> None:
    """A path, say; the row itself is not refused."""
    rows = read([{"prompt": "a", "where": Path("x/y"), 5: b"raw"}])
    assert rows[0].columns == {"where": "x/y", "5": "b'raw'"}


def test_a_bad_row_in_memory_is_one_invalid_row() -> None:
    """The rows around it are read all the same."""
    rows = read([{"prompt": "a"}, None, {"id": 1}])
    assert error(rows[1:2]) == "it is no dictionary of column names and values"
    assert error(rows[2:]) == "prompt is missing"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ([], "empty list"),
        (["a.csv", {"prompt": "x"}], "a list of both files and rows"),
        ([{}], "holds no dictionary"),
        ("", "has no ending|is a folder"),
    ],
)
def test_a_source_that_names_nothing_is_refused(source: Any, said: str) -> None:
    """Before anything is planned."""
    with pytest.raises(ManifestError, match=said):
        read(source)
