"""JSON Lines manifests: values keep their types, columns are found by reading."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from manifests import error, prompts, read, requests, written
from prefect_trinetra.errors import ManifestError
from prefect_trinetra.manifest import Manifest


def lines(*rows: object) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def test_numbers_and_nulls_fill_fields(tmp_path: Path) -> None:
    """n may be a number; null and an empty text mean not given; a numeric user is a name."""
    path = written(tmp_path / "a.jsonl", lines({"prompt": "x", "n": 2, "quality": None, "user": 7, "moderation": ""}))
    (request,) = requests(read(path))
    assert (request.n, request.quality, request.user, request.moderation) == (2, "medium", "7", "auto")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "it is no JSON ("),
        ("[1]", "it is JSON, but no object"),
        ('"a fox"', "it is JSON, but no object"),
        ('{"prompt": "x", "Prompt ": "y"}', "two of its names differ in case or space only: prompt, Prompt"),
        ('{"id": 1}', "prompt is missing"),
        ('{"prompt": null}', "prompt is missing"),
        ('{"prompt": 5}', "prompt: 5 is not text"),
        ('{"prompt": ["a"]}', "prompt: ['a'] is not text"),
        ('{"prompt": "x", "n": 1.5}', "n: 1.5 is not a whole number"),
        ('{"prompt": "x", "n": true}', "n: True is not a whole number"),
        ('{"prompt": "x", "n": [1]}', "n: [1] is not a single value"),
        ('{"prompt": "x", "user": {"id": 1}}', "user: {'id': 1} is not a single value"),
        ('{"prompt": "", "n": 9}', "prompt is blank: write what the picture is to show; n: 9 is more than 4"),
        ('{"prompt": "\\ud800"}', "it is no JSON ("),
    ],
)
def test_a_bad_line_is_one_invalid_row(tmp_path: Path, line: str, reason: str) -> None:
    """The lines around it are read all the same."""
    rows = read(written(tmp_path / "a.jsonl", f'{{"prompt": "a"}}\n\n{line}\n{{"prompt": "b"}}\n'))
    assert prompts([rows[0], rows[2]]) == ["a", "b"]
    assert error(rows[1:2]).startswith(reason)
    assert rows[1].source.endswith("line 3")


def test_one_and_true_are_told_apart(tmp_path: Path) -> None:
    """They are equal in Python, but only one of them is a number of images; so it is with 2 and 2.0."""
    rows = read(written(tmp_path / "a.jsonl", lines(*({"prompt": "x", "n": n} for n in (1, True, 1.0, 2.0, 1)))))
    assert [row.error is None for row in rows] == [True, False, True, True, True]


def test_columns_have_the_type_that_holds_all_their_values(tmp_path: Path) -> None:
    """Where the values of a column differ in kind it is text; nested values become JSON."""
    path = written(
        tmp_path / "a.jsonl",
        lines(
            {"prompt": "x", "text": "0001", "whole": 1, "real": 1, "yes": True, "tags": ["a"], "mixed": 1},
            {"prompt": "x", "whole": None, "real": 2.5, "mixed": "one", "late": "é", "huge": 2**63},
            {"prompt": "x", "mixed": False, "nothing": None},
        ),
    )
    manifest = Manifest.open(path)
    assert {field.name: field.type for field in manifest.schema} == {
        "text": pa.string(),
        "whole": pa.int64(),
        "real": pa.float64(),
        "yes": pa.bool_(),
        "tags": pa.string(),
        "mixed": pa.string(),
        "late": pa.string(),
        "huge": pa.string(),
        "nothing": pa.string(),
    }
    columns = [row.columns for row in manifest.rows()]
    assert [row["mixed"] for row in columns] == ["1", "one", "false"]
    assert (columns[0]["tags"], columns[1]["huge"], columns[1]["late"]) == ('["a"]', str(2**63), "é")
    assert pa.Table.from_pylist(columns, manifest.schema).num_rows == 3


def test_a_whole_number_too_wide_for_a_double_stays_exact(tmp_path: Path) -> None:
    """Beside real numbers it becomes text rather than another number."""
    path = written(tmp_path / "a.jsonl", lines({"prompt": "x", "v": 2**53 + 1}, {"prompt": "x", "v": 0.5}))
    assert [row.columns["v"] for row in read(path)] == [str(2**53 + 1), "0.5"]


def test_a_column_may_be_spelled_in_two_ways(tmp_path: Path) -> None:
    """Case and surrounding space do not count; the first spelling names the column."""
    path = written(tmp_path / "a.jsonl", lines({"Prompt": "a", "Tag": "1"}, {"PROMPT ": "b", "tag": "2"}))
    rows = read(path)
    assert prompts(rows) == ["a", "b"]
    assert [row.columns for row in rows] == [{"Tag": "1"}, {"Tag": "2"}]


def test_a_json_array_is_no_json_lines(tmp_path: Path) -> None:
    """The most likely mistake gets a sentence of its own."""
    with pytest.raises(ManifestError, match=r"no line that is a JSON object: write one object a line, no array"):
        read(written(tmp_path / "a.jsonl", lines([{"prompt": "x"}])))


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    """Its columns were found in a first pass: what is new in the second has no place to go."""
    manifest = Manifest.open(written(tmp_path / "a.jsonl", lines({"prompt": "x"})))
    written(tmp_path / "a.jsonl", lines({"prompt": "x", "new": 1}))
    with pytest.raises(ManifestError, match="the file changed while it was read"):
        list(manifest.rows())
