"""Each export is read by the libraries that its users use: the same bytes, and the same row beside them."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from exports import base_name, export, exported_row, kites, metadata, plain, sha256, without_network
from object_store import ObjectStore, running_object_store
from prefect_trinetra.export.splits import Splits
from prefect_trinetra.gallery.writing import write_gallery
from prefect_trinetra.loop import io_loop
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.storage import Storage

without_network()
SPLITS = Splits({"train": 0.7, "test": 0.3})
FORMATS = ("webdataset", "parquet", "imagefolder")


@pytest.fixture(scope="module")
def dataset(session_shop: SandboxHandle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kites(session_shop, tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def exported(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The dataset in all formats, in two splits."""
    root = tmp_path_factory.mktemp("exports")
    for name in FORMATS:
        report = export(dataset, root / name, name, splits=SPLITS, licence="CC0-1.0")
        assert report.images == 18
        assert set(report.splits) == {"train", "test"}
    return {name: root / name for name in FORMATS}


@pytest.fixture(autouse=True)
def others_warnings() -> Iterator[None]:
    """What these libraries warn of is theirs to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def hub_rows(folder: Path, cache: Path, *, streaming: bool) -> Iterator[dict[str, Any]]:
    """All rows as the datasets library loads them, by the card's own words."""
    import datasets

    loaded = datasets.load_dataset(str(folder), streaming=streaming, cache_dir=str(cache))
    assert set(loaded) == {"train", "test"}
    for split in loaded.values():
        column = "image" if "image" in split.column_names else "png"
        yield from split.cast_column(column, datasets.Image(decode=False))


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
@pytest.mark.parametrize("name", ["parquet", "imagefolder"])
def test_datasets_loads_images_and_rows(
    dataset: Path, exported: dict[str, Path], tmp_path: Path, name: str, *, streaming: bool
) -> None:
    """`load_dataset(folder)` needs nothing but the folder; its image column is one."""
    expected = metadata(dataset)
    found = 0
    for row in hub_rows(exported[name], tmp_path, streaming=streaming):
        image = row.pop("image")
        data = image["bytes"] if image["bytes"] is not None else Path(image["path"]).read_bytes()
        mine = exported_row(expected[base_name(image["path"])])
        assert sha256(data) == mine["sha256"]
        wanted = {key: value for key, value in mine.items() if key != "file_name"}
        assert {key: value for key, value in row.items() if key != "file_name"} == wanted
        found += 1
    assert found == 18


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_datasets_loads_tar_shards(
    dataset: Path, exported: dict[str, Path], tmp_path: Path, *, streaming: bool
) -> None:
    """As samples of an image, its row and its caption."""
    expected = metadata(dataset)
    rows = list(hub_rows(exported["webdataset"], tmp_path, streaming=streaming))
    for row in rows:
        mine = exported_row(expected[f"{row['__key__']}.png"])
        assert sha256(row["png"]["bytes"]) == mine["sha256"]
        assert row["json"]["prompt"] == row["txt"] == mine["prompt"]
    assert len(rows) == 18


def test_webdataset_loads_samples(dataset: Path, exported: dict[str, Path]) -> None:
    """Every column of the row, with the types that JSON has."""
    expected = metadata(dataset)
    import webdataset

    shards = sorted(str(path) for path in (exported["webdataset"] / "data").glob("*.tar"))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    for sample in samples:
        mine = exported_row(expected[f"{sample['__key__']}.png"])
        assert sha256(sample["png"]) == mine["sha256"]
        assert json.loads(sample["json"]) == plain(mine)
        assert sample["txt"].decode() == mine["prompt"]
    assert len(samples) == 18


def test_webdataset_decodes_for_a_training_loop(exported: dict[str, Path]) -> None:
    """The line that the card shows: pictures and captions, ready to batch."""
    import webdataset

    shards = [str(path) for path in (exported["webdataset"] / "data").glob("train-*.tar")]
    pairs = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "txt")
    picture, caption = next(iter(pairs))
    assert picture.size == (32, 32)
    assert caption.startswith("A kite")


def test_pyarrow_reads_parquet_shards(dataset: Path, exported: dict[str, Path]) -> None:
    """Plain Parquet: a struct of bytes and path, then the dataset's own columns with their own types."""
    expected = metadata(dataset)
    own = pq.read_schema(dataset / "metadata.parquet")
    tables = [pq.read_table(path) for path in sorted((exported["parquet"] / "data").glob("*.parquet"))]
    assert [field.type for field in tables[0].schema][1:] == [field.type for field in own]
    rows = pa.concat_tables(tables).to_pylist()
    for row in rows:
        image = row.pop("image")
        assert row == exported_row(expected[image["path"]])
        assert sha256(image["bytes"]) == row["sha256"]
    assert len(rows) == 18


@pytest.mark.parametrize("name", FORMATS)
def test_mlcroissant_validates_and_reads(dataset: Path, exported: dict[str, Path], name: str) -> None:
    """Croissant 1.1 without an error; each record is the picture of its own row."""
    import mlcroissant

    expected = metadata(dataset)
    croissant = mlcroissant.Dataset(jsonld=str(exported[name] / "croissant.json"))
    assert not croissant.metadata.ctx.issues.errors
    assert croissant.metadata.conforms_to == ["http://mlcommons.org/croissant/1.1"]
    shas = {row["sha256"]: file_name for file_name, row in expected.items()}
    seen = set()
    for record in croissant.records("images"):
        file_name = shas[record["images/sha256"].decode()]
        mine = exported_row(expected[file_name])
        for column in ("prompt", "label", "job_id", "width", "credits_charged", "weight", "manifest_shard"):
            value = record[f"images/{column}"]
            assert (value.decode() if isinstance(value, bytes) else value) == mine[column]
        stored = Image.open(io.BytesIO((dataset / mine["file_name"]).read_bytes()))
        assert record["images/image"].convert("RGB").tobytes() == stored.convert("RGB").tobytes()
        seen.add(file_name)
    assert seen == set(expected)


@pytest.mark.parametrize("name", FORMATS)
def test_croissant_says_where_the_images_came_from(exported: dict[str, Path], name: str) -> None:
    """Who made them when, that they are synthetic, and IPTC's word for it."""
    document = json.loads((exported[name] / "croissant.json").read_text())
    made = document["prov:wasGeneratedBy"]
    assert made["@type"] == "prov:Activity"
    assert {agent["name"] for agent in made["prov:wasAssociatedWith"]} == {"prefect-trinetra", "gpt-image-2"}
    assert made["prov:startedAtTime"] <= made["prov:endedAtTime"]
    assert document["rai:hasSyntheticData"] is True
    assert document["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert document["license"] == "https://spdx.org/licenses/CC0-1.0"


@pytest.mark.parametrize("name", FORMATS)
def test_the_card_has_front_matter_that_the_hub_reads(exported: dict[str, Path], name: str) -> None:
    """Read by the Hub's own library; licence, size, task, splits."""
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(exported[name] / "README.md")
    assert card.data.license == "cc0-1.0"
    assert card.data.task_categories == ["text-to-image"]
    assert card.data.size_categories == ["n<1K"]
    assert {part["split"] for part in card.data.to_dict()["configs"][0]["data_files"]} == {"train", "test"}
    assert "18 synthetic images for 12 requests" in card.text


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with running_object_store() as server:
        yield server


@pytest.mark.parametrize("name", FORMATS)
def test_the_cards_own_lines_load_from_a_bucket(
    dataset: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With the credentials of the environment: what a person copies out of the card works as it stands."""
    url = f"s3://{object_store.new_bucket()}/out"
    export(dataset, url, name, to_options=object_store.options)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("AWS_ENDPOINT_URL", object_store.url)
    card = io_loop().run(Storage.open(url, object_store.options).read("README.md")).decode()
    names: dict[str, Any] = {}
    exec(card.partition("```python\n")[2].partition("```")[0], names)  # noqa: S102  # that is the rule
    assert sum(1 for _ in names["images"]) == 18


def test_the_folder_itself_loads_without_an_export(dataset: Path, tmp_path: Path) -> None:
    """The dataset's own layout is an imagefolder, with a gallery in it, too."""
    import datasets

    io_loop().run(write_gallery(Storage.open(str(dataset))))
    loaded = datasets.load_dataset("imagefolder", data_dir=str(dataset), cache_dir=str(tmp_path), split="train")
    assert len(loaded) == 18
    assert {row["sha256"] for row in islice(loaded, 18)} == {row["sha256"] for row in metadata(dataset).values()}
