"""What a gallery is made of, and that it is made once."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import fsspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gallery_reading import GalleryOf, written
from many_images import ManyImages
from object_store import running_object_store
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.gallery.cells import shown
from prefect_trinetra.gallery.packs import PACK_SIZE
from prefect_trinetra.gallery.parts import part, part_value, script_json
from prefect_trinetra.gallery.writing import write_gallery
from prefect_trinetra.loop import io_loop
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.storage import Storage
from runs import prompts, run, view

CELLS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), lambda inner: st.lists(inner, max_size=4)
)


@given(CELLS)
def test_no_word_of_others_can_end_a_script(value: Any) -> None:
    """Neither markup nor a line separator survives in a script, and every value arrives as it was."""
    data = script_json(value)
    assert orjson.loads(data) == value
    assert not any(letter in data.decode() for letter in "<>&\u2028\u2029")
    assert part_value(part("rows", value)[1]) == value


@given(st.floats() | st.integers() | st.binary(max_size=8) | st.dates() | st.lists(st.binary(max_size=3), max_size=2))
def test_whatever_a_cell_holds_can_be_shown(value: Any) -> None:
    """As a single JSON value that no browser rounds."""
    cell = orjson.loads(script_json(shown(value)))
    assert cell is None or isinstance(cell, str | int | float)
    assert not isinstance(value, int) or str(cell) == str(value)


def test_every_row_is_shown_once(shop: SandboxHandle, tmp_path: Path) -> None:
    """Each image, and each row without one with its reason and what was asked for; a repeated row only once."""
    rows: list[dict[str, Any]] = [
        {"prompt": "a kite", "n": 2, "quality": "low", "toy": "kite"},
        {"prompt": "a kite", "n": 2, "quality": "low", "toy": "again"},
        {"prompt": "a heron, forbidden-by-moderation", "quality": "high", "toy": "none"},
        {"prompt": "a drum", "quality": "ultra", "toy": "drum"},
    ]
    run(shop, rows, tmp_path)
    report = written(tmp_path)
    gallery = GalleryOf(tmp_path)
    assert (report.items, report.images, report.is_final) == (4, 2, True)
    assert gallery.column("id") == ["1-0-0", "1-0-1", "3-0-0", "4-0-0"]
    assert gallery.column("reason")[:2] == [None, None]
    records = gallery.records()
    assert "blocked" in records[2]["reason"]
    assert records[2]["quality"] == "high"
    assert {record["toy"] for record in records} == {"kite", "none", "drum"}
    assert records[0]["file_name"] in {row["file_name"] for row in view(tmp_path, "metadata")}
    assert gallery.header["costs"]["all"]["charged"] == shop.bill()["credits"]


def test_thumbnails_are_small_pictures_of_their_images(tmp_path: Path) -> None:
    """WebP of at most 320 pixels, of the image's own shape, in the place that the page looks for it."""
    ManyImages(tmp_path / "set", 60).write()
    written(tmp_path / "set")
    gallery = GalleryOf(tmp_path / "set")
    packs = gallery.parts("packs")
    for pack, place, width, height in zip(
        *(gallery.column(name) for name in ("pack", "place", "width", "height")), strict=True
    ):
        if pack is None:
            continue
        with Image.open(io.BytesIO(base64.b64decode(packs[pack]["webp"][place]))) as small:
            assert small.format == "WEBP"
            assert max(small.size) == 320
            assert abs(small.width / small.height - width / height) < 0.02


def test_a_second_writing_makes_only_what_is_new(shop: SandboxHandle, tmp_path: Path) -> None:
    """Thumbnails are made once; packs that are not full are filled up, and what no page uses goes away later."""
    run(shop, prompts(5), tmp_path)
    assert written(tmp_path).thumbnails_made == 5
    first = GalleryOf(tmp_path).files()
    assert written(tmp_path).thumbnails_made == 0
    again = GalleryOf(tmp_path).files()
    assert {name: data for name, data in first.items() if "/" in name} == {
        name: data for name, data in again.items() if "/" in name
    }
    run(shop, prompts(9), tmp_path)
    assert written(tmp_path).thumbnails_made == 4
    assert len(GalleryOf(tmp_path).parts("packs")) == 1
    # A page that was opened before this writing still finds its parts, until the next but one.
    assert first.keys() <= GalleryOf(tmp_path).files().keys()
    written(tmp_path)
    used = {name for kind in GalleryOf(tmp_path).header["parts"].values() for name in kind}
    assert {name for name in GalleryOf(tmp_path).files() if "/" in name} == used


def test_ten_thousand_thumbnails_are_some_hundred_files(tmp_path: Path) -> None:
    """Neither a file each nor one for all; here with two hundred."""
    ManyImages(tmp_path / "set", 200, edge=48).write()
    made = written(tmp_path / "set").thumbnails_made
    sizes = [len(pack["of"]) for pack in GalleryOf(tmp_path / "set").parts("packs")]
    assert sum(sizes) == made
    assert sizes[:-1] == [PACK_SIZE] * (len(sizes) - 1)


def test_missing_and_damaged_images_are_tiles(tmp_path: Path) -> None:
    """They say what is wrong; a file that was brought back is shown by the next writing."""
    ManyImages(tmp_path / "set", 5).write()
    names = [row["file_name"] for row in view(tmp_path / "set", "metadata")]
    whole = (tmp_path / "set" / names[1]).read_bytes()
    (tmp_path / "set" / names[0]).unlink()
    (tmp_path / "set" / names[1]).unlink()
    (tmp_path / "set" / names[1]).write_bytes(whole[: len(whole) // 2])
    assert written(tmp_path / "set").unshown == 2
    assert GalleryOf(tmp_path / "set").column("reason")[:3] == [
        "the file is missing",
        "the file is damaged: it is no whole image",
        None,
    ]
    (tmp_path / "set" / names[1]).write_bytes(whole)
    again = written(tmp_path / "set")
    assert (again.unshown, again.thumbnails_made) == (1, 1)


def test_columns_with_few_values_are_choices_and_others_are_searched(tmp_path: Path) -> None:
    """By what is in them, whatever they are called; columns of any type are shown."""
    data = ManyImages(tmp_path / "set", 80)
    data.write()
    rows_file = tmp_path / "set" / "rows.parquet"
    table = pq.read_table(rows_file)
    count = table.num_rows
    odd = {
        "nested": pa.array([{"a": [number]} for number in range(count)]),
        "moment": pa.array([number * 1_000_003 for number in range(count)], pa.timestamp("ns")),
        "</script>": pa.array(["x", "y"] * (count // 2)),
        "flag": pa.array([True, None] * (count // 2)),
    }
    for name, values in odd.items():
        table = table.append_column(name, values)
    pq.write_table(table, rows_file)
    written(tmp_path / "set")
    gallery = GalleryOf(tmp_path / "set")
    choices = gallery.header["choices"]
    assert choices["quality"] == ["low", "medium", "high"]
    assert choices["style"] == ["gouache", "linocut", "watercolour"]
    assert choices["year"] == [str(year) for year in range(1990, 2002)]
    assert choices["</script>"] == ["x", "y"]
    assert sorted(choices["flag"]) == ["", "true"]
    assert set(gallery.header["texts"]) == {"note", "nested", "moment"}
    assert gallery.records()[3]["nested"] == '{"a":[3]}'
    assert "000003009" in gallery.records()[3]["moment"] or "3000009" in gallery.records()[3]["moment"]


def test_what_is_no_dataset_gets_no_gallery(tmp_path: Path) -> None:
    """One sentence says so, and nothing is written; nor where no run has come as far as a plan."""
    with pytest.raises(DatasetError, match=r"is no dataset: there is no dataset\.json"):
        written(tmp_path)
    assert list(tmp_path.iterdir()) == []
    ManyImages(tmp_path / "set", 1).write()
    for name in ("rows.parquet", "metadata.parquet"):
        (tmp_path / "set" / name).unlink()
    with pytest.raises(DatasetError, match="has no rows yet"):
        written(tmp_path / "set")


def test_the_folder_still_loads_as_images(tmp_path: Path) -> None:
    """A gallery adds no image file, which a loader of image folders would take for one more of the dataset's."""
    ManyImages(tmp_path / "set", 12).write()
    written(tmp_path / "set")
    suffixes = {name.rpartition(".")[2] for name in GalleryOf(tmp_path / "set").files()}
    assert suffixes == {"html", "js", "json"}


def test_a_bucket_holds_it_as_a_folder_does(shop: SandboxHandle) -> None:
    """The page is stored with its type, so that a browser shows it, and a second writing makes no thumbnail."""
    with running_object_store() as store:
        storage = Storage.open(f"s3://{store.new_bucket()}/set", store.options)
        run(shop, prompts(3), storage.url, storage_options=store.options)
        first = io_loop().run(write_gallery(storage))
        assert (first.images, first.thumbnails_made) == (3, 3)
        assert io_loop().run(write_gallery(storage)).thumbnails_made == 0
        assert first.page_url == f"{storage.url}/gallery/index.html"
        told = fsspec.filesystem("s3", **store.options).info(f"{storage.url}/gallery/index.html")
        assert told["ContentType"] == "text/html"
