"""Parquet manifests: the file's own types come through, whatever they are."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests import error, prompts, read, requests
from prefect_trinetra.errors import ManifestError
from prefect_trinetra.manifest import Manifest


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> str:
    pq.write_table(pa.table(columns), path, **options)
    return str(path)


def test_numbers_of_any_type_fill_fields(tmp_path: Path) -> None:
    """pandas makes a column with gaps real: 2.0 is two images, a gap and NaN are not given."""
    gaps = pa.array([2.0, None, float("nan"), 2.5])
    rows = read(parquet(tmp_path / "a.parquet", {"prompt": ["a", "b", "c", "d"], "n": gaps}))
    assert [request.n for request in requests(rows[:3])] == [2, 1, 1]
    assert error(rows[3:]) == "n: 2.5 is not a whole number"
    decimals = pa.array([Decimal(3), Decimal(4)])
    (first, second) = requests(read(parquet(tmp_path / "b.parquet", {"prompt": ["a", "b"], "n": decimals})))
    assert (first.n, second.n) == (3, 4)


def test_rows_are_counted_over_batches_and_row_groups(tmp_path: Path) -> None:
    """The place of a row in a Parquet file is its number."""
    texts = [f"prompt {number}" for number in range(2_500)]
    rows = read(parquet(tmp_path / "a.parquet", {"prompt": texts}, row_group_size=700))
    assert prompts(rows) == texts
    assert rows[-1].source == f"{tmp_path / 'a.parquet'}, row 2500"


@pytest.mark.parametrize(
    ("values", "carried"),
    [
        (pa.array([1, None], pa.int8()), pa.int8()),
        (pa.array(["a", None], pa.large_string()), pa.string()),
        (pa.array(["a", None]).dictionary_encode(), pa.string()),
        (pa.array([{"x": [1, 2]}, None]), pa.struct({"x": pa.list_(pa.int64())})),
        (pa.array([b"\0\xff", None]), pa.binary()),
        (pa.array([Decimal("1.50"), None]), pa.decimal128(3, 2)),
        (pa.array([1, None], pa.timestamp("us", tz="UTC")), pa.timestamp("us", tz="UTC")),
        (pa.array([1_000, None], pa.timestamp("ns")), pa.timestamp("ns")),
        (pa.array([1, None], pa.timestamp("ns", tz="UTC")), pa.timestamp("ns", tz="UTC")),
        (pa.array([1, None], pa.duration("ns")), pa.duration("ns")),
        (pa.array([1, None], pa.time64("ns")), pa.time64("ns")),
        (pa.array([1, None], pa.time64("us")), pa.time64("us")),
        (pa.array([None, None]), pa.string()),
    ],
)
def test_a_column_comes_through_with_its_type(tmp_path: Path, values: pa.Array, carried: pa.DataType) -> None:
    """What is carried makes the same column again: nothing is rounded, nanoseconds neither."""
    manifest = Manifest.open(parquet(tmp_path / "a.parquet", {"prompt": ["a", "b"], "extra": values}))
    assert manifest.schema.field("extra").type == carried
    again = pa.Table.from_pylist([row.columns for row in manifest.rows()], manifest.schema).column("extra")
    assert again.combine_chunks().equals(values.cast(carried))


def test_an_extension_type_comes_through_as_what_it_stores(tmp_path: Path) -> None:
    """A UUID column is carried as its 16 bytes, whatever knows the extension later."""
    uuids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0123456789abcdef"], pa.binary(16)))
    manifest = Manifest.open(parquet(tmp_path / "a.parquet", {"prompt": ["a"], "id": uuids}))
    assert manifest.schema.field("id").type == pa.binary(16)
    assert [row.columns for row in manifest.rows()] == [{"id": b"0123456789abcdef"}]


def test_a_time_in_whole_microseconds_is_a_time(tmp_path: Path) -> None:
    """So that a template shows a date, although pandas stores nanoseconds."""
    stamps = pa.array([datetime(2026, 1, 2, tzinfo=UTC)], pa.timestamp("ns", tz="UTC"))
    path = parquet(tmp_path / "a.parquet", {"day": stamps})
    assert prompts(read(path, template="the sky on {{ day }}")) == ["the sky on 2026-01-02 00:00:00+00:00"]


def test_a_torn_file_is_one_clear_error(tmp_path: Path) -> None:
    """Without its footer nothing of it can be read; with a torn middle nothing is guessed."""
    path = tmp_path / "a.parquet"
    whole = Path(parquet(path, {"prompt": [f"prompt {n}" for n in range(5_000)]})).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ManifestError, match=r"a\.parquet is no whole Parquet file"):
        read(str(path))
    path.write_bytes(whole[:10] + b"\xff" * 2_000 + whole[2_010:])
    with pytest.raises(ManifestError, match=r"a\.parquet is no whole Parquet file"):
        read(str(path))


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Nobody could tell which one is meant."""
    pq.write_table(pa.table([["a"], ["b"]], names=["prompt", "PROMPT"]), tmp_path / "a.parquet")
    with pytest.raises(ManifestError, match="two columns of one name, prompt and PROMPT"):
        read(str(tmp_path / "a.parquet"))


def test_the_fingerprint_follows_the_rows(tmp_path: Path) -> None:
    """The same rows written again are the same manifest; another value is another one."""

    def fingerprint(text: str) -> str:
        path = parquet(tmp_path / "a.parquet", {"prompt": ["x", text]})
        manifest = Manifest.open(path)
        list(manifest.rows())
        return manifest.fingerprint

    assert fingerprint("a") == fingerprint("a") != fingerprint("b")


def test_the_fingerprint_follows_the_words_of_categories(tmp_path: Path) -> None:
    """pandas writes categories as numbers beside a list of words: other words are another manifest."""

    def fingerprint(words: list[str]) -> str:
        column = pa.array(words).dictionary_encode()
        pq.write_table(pa.table({"prompt": column}), tmp_path / "a.parquet")
        return Manifest.open(str(tmp_path / "a.parquet")).fingerprint_now()

    assert fingerprint(["a", "b"]) == fingerprint(["a", "b"]) != fingerprint(["c", "d"])
