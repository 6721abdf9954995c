"""How images are shared out among splits and files: laws, and names that hold for ever."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.export.selection import Selection
from prefect_trinetra.export.shards import FRAME_BYTES, MAX_SHARD_ROWS, ShardPlan
from prefect_trinetra.export.spec import ExportSpec
from prefect_trinetra.export.splits import Splits, split_name

SHARES = Splits({"train": 0.8, "validation": 0.1, "test": 0.1})
MEGABYTE = 1_000_000


def test_a_key_never_changes_its_split() -> None:
    """Golden: a model trained on one export is not tested on its training images after the next."""
    keys = [f"{number:064x}" for number in range(12)]
    assert "".join(name[0] + name[1] for name in SHARES.of_values(keys)) == GOLDEN


GOLDEN = "trvavavatrtrtrtrtrtrtrtr"


@given(st.lists(st.text("0123456789abcdef", min_size=1), min_size=1), st.randoms())
def test_the_split_of_a_row_depends_on_nothing_but_its_value(keys: list[str], random: object) -> None:
    """Not on the order, nor on what other rows there are."""
    apart = [SHARES.of_values([key])[0] for key in keys]
    assert SHARES.of_values(keys) == apart
    assert SHARES.of_values(list(reversed(keys))) == list(reversed(apart))


def test_shares_are_met() -> None:
    """Within what chance leaves: of 20,000 keys, 80 % go to train."""
    names = SHARES.of_values(f"{number:064x}" for number in range(20_000))
    assert abs(names.count("train") / 20_000 - 0.8) < 0.01
    assert abs(names.count("test") / 20_000 - 0.1) < 0.01


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        ({"shares": {"train": 0.8}}, "add up to 0.8"),
        ({"shares": {"train": 1.2, "test": -0.2}}, "give more than 0"),
        ({"shares": {"my split": 1.0}}, "can't be the name"),
        ({"shares": {"train": 1.0}, "column": "label"}, "give one of them"),
    ],
)
def test_shares_that_cannot_be_are_refused(splits: dict[str, object], sentence: str) -> None:
    """In a sentence that says what to give instead."""
    with pytest.raises(ConfigurationError, match=sentence):
        Splits(**splits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "name"), [("sea", "sea"), ("still life", "still_life"), ("Zürich", "Z_rich"), (3, "3"), ("../x", "x")]
)
def test_a_columns_value_becomes_a_name_that_loaders_take(value: object, name: str) -> None:
    """Letters, digits and _; no path gets in."""
    assert split_name(value, "label") == name


@pytest.mark.parametrize("value", [None, "", "雪", "../.."])
def test_a_value_without_a_name_is_told(value: object) -> None:
    """With the column and what to do."""
    with pytest.raises(ConfigurationError, match="the column label has a row"):
        split_name(value, "label")


def selection_of(folder: Path, sizes: list[int], labels: list[str]) -> Selection:
    """A dataset's table whose images have those sizes."""
    count = len(sizes)
    table = pa.table(
        {
            "file_name": [f"images/00/{number:064x}-0-00000000.png" for number in range(count)],
            "key": [f"{number:064x}" for number in range(count)],
            "bytes": pa.array(sizes, pa.int64()),
            "sha256": [f"{number:064x}" for number in range(count)],
            "format": ["png"] * count,
            "label": labels,
        }
    )
    pq.write_table(table, folder / "metadata.parquet", row_group_size=7)
    return Selection(folder / "metadata.parquet", ExportSpec("kites", "out", splits=Splits(column="label")))


@given(st.data(), st.integers(1 * MEGABYTE, 3 * MEGABYTE))
def test_every_row_is_in_one_file_and_no_file_is_too_large(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, most: int
) -> None:
    """Names without holes, rows in their order, each file within its limit unless one image alone is above it."""
    sizes = data.draw(st.lists(st.integers(1, 4 * MEGABYTE), min_size=1, max_size=60))
    labels = data.draw(st.lists(st.sampled_from("ab"), min_size=len(sizes), max_size=len(sizes)))
    selection = selection_of(tmp_path_factory.mktemp("table"), sizes, labels)
    plan = ShardPlan.of(selection, most)
    shards = list(plan.shards(selection))
    assert plan.images == len(sizes)
    for split in set(labels):
        mine = [shard for shard in shards if shard.split == split]
        assert [shard.number for shard in mine] == list(range(len(mine)))
        assert {shard.count for shard in mine} == {len(mine)}
        rows = [key for shard in mine for key in shard.table["key"].to_pylist()]
        assert rows == [f"{number:064x}" for number, label in enumerate(labels) if label == split]
    for shard in shards:
        held = sum(shard.table["bytes"].to_pylist()) + FRAME_BYTES * shard.table.num_rows
        assert held <= most or shard.table.num_rows == 1


def test_small_images_do_not_make_endless_files(tmp_path: Path) -> None:
    """A file holds 10,000 rows at most, whatever they weigh."""
    selection = selection_of(tmp_path, [10] * (2 * MAX_SHARD_ROWS + 1), ["a"] * (2 * MAX_SHARD_ROWS + 1))
    assert ShardPlan.of(selection, 500 * MEGABYTE).sizes == {"a": [MAX_SHARD_ROWS, MAX_SHARD_ROWS, 1]}


def test_a_column_of_labels_is_no_column_of_splits(tmp_path: Path) -> None:
    """Thousands of splits help nobody: it is said before anything is written."""
    selection = selection_of(tmp_path, [10] * 200, [f"l{number}" for number in range(200)])
    with pytest.raises(ConfigurationError, match="more than 100 values"):
        ShardPlan.of(selection, MEGABYTE)


def test_a_nested_column_is_no_filter(tmp_path: Path) -> None:
    """A list has no text to compare with."""
    table = pa.table({name: [[1]] for name in ("file_name", "key", "bytes", "sha256", "format", "tags")})
    pq.write_table(table, tmp_path / "metadata.parquet")
    selection = Selection(tmp_path / "metadata.parquet", ExportSpec("kites", "out", where={"tags": ["1"]}))
    with pytest.raises(ConfigurationError, match="can't be compared with text"):
        list(selection.batches())
