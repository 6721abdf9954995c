"""Manifests on every kind of storage: found, read and refused as on a disk; also through fsspec's layers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests import prompts, read
from places import Place, Store
from prefect_trinetra.errors import ManifestError
from prefect_trinetra.inputs import BLOCK_BYTES
from prefect_trinetra.links import last_protocol
from prefect_trinetra.loop import io_loop
from prefect_trinetra.storage import Storage
from stores import STORES

pytestmark = pytest.mark.slow

# Few long rows make a file of more than one block.
FILLING = "kites " * 4000


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, stores: Callable[[str], Store]) -> Place:
    return stores(request.param).new_place()


def put(place: Place, files: Mapping[str, bytes]) -> None:
    storage = Storage.open(place.url, place.options)
    for name, data in files.items():
        io_loop().run(storage.write(name, data))


def nested(place: Place) -> dict[str, Any]:
    """The options of the storage itself behind a layer, as fsspec has them."""
    return {last_protocol(place.url): place.options}


def test_files_are_found_and_read(place: Place) -> None:
    """By name and by a glob, which finds what was just written."""
    put(place, {"in/a.csv": b"prompt\na\n", "in/b.jsonl": b'{"prompt": "b"}\n'})
    assert prompts(read(f"{place.url}/in/a.csv", storage_options=place.options)) == ["a"]
    assert prompts(read(f"{place.url}/in/*", storage_options=place.options)) == ["a", "b"]
    put(place, {"in/c.txt": b"c\n"})
    rows = read(f"{place.url}/in/*", storage_options=place.options)
    assert prompts(rows) == ["a", "b", "c"]
    assert rows[2].source.endswith("/in/c.txt, line 1")


def test_large_files_are_read_in_blocks(place: Place, tmp_path: Path) -> None:
    """From the front, and from the end, where Parquet keeps what it holds."""
    storage = Storage.open(place.url, place.options)
    texts = [f"{number} {FILLING}" for number in range(3 * BLOCK_BYTES // len(FILLING) // 2)]
    (tmp_path / "a.txt").write_text("".join(f"{text}\n" for text in texts))
    pq.write_table(pa.table({"prompt": texts}), tmp_path / "a.parquet", compression="none", use_dictionary=False)
    for name in ("a.txt", "a.parquet"):
        assert (tmp_path / name).stat().st_size > BLOCK_BYTES
        io_loop().run(storage.upload(tmp_path / name, name))
        assert prompts(read(f"{place.url}/{name}", storage_options=place.options)) == texts


@pytest.mark.parametrize("name", ["none.csv", "*.tsv", "in"])
def test_what_is_no_file_is_one_clear_error(place: Place, name: str) -> None:
    """In the same words everywhere."""
    put(place, {"in/a.csv": b"prompt\na\n"})
    with pytest.raises(ManifestError, match=r"does not exist: check|no file matches|is a folder: name its files"):
        read(f"{place.url}/{name}", storage_options=place.options)


def test_a_layer_with_copies_is_read_through(place: Place, tmp_path: Path) -> None:
    """The options of the storage behind it stand in a mapping of its name."""
    put(place, {"in/a.csv": b"prompt\na\n", "in/b.csv": b"prompt\nb\n"})
    for layer in ("simplecache", "filecache"):
        options = nested(place) | {"cache_storage": str(tmp_path / layer)}
        assert prompts(read(f"{layer}::{place.url}/in/a.csv", storage_options=options)) == ["a"]
        assert prompts(read(f"{layer}::{place.url}/in/*.csv", storage_options=options)) == ["a", "b"]


def test_an_archive_is_read_where_it_lies(place: Place) -> None:
    """A file in it, and a glob over its files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", "prompt\na\n")
        archive.writestr("b.csv", "prompt\nb\n")
    put(place, {"in.zip": packed.getvalue()})
    assert prompts(read(f"zip://a.csv::{place.url}/in.zip", storage_options=nested(place))) == ["a"]
    assert prompts(read(f"zip://*.csv::{place.url}/in.zip", storage_options=nested(place))) == ["a", "b"]
