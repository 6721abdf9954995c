"""Manifests in an object store: found, read and refused as on a disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from manifests import prompts, read
from object_store import ObjectStore, running_object_store
from prefect_trinetra.errors import ManifestError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with running_object_store() as server:
        yield server


def put(store: ObjectStore, files: dict[str, bytes]) -> str:
    """A new bucket with these files."""
    bucket = store.new_bucket()
    fs = fsspec.filesystem("s3", **store.options)
    fs.pipe({f"{bucket}/{name}": data for name, data in files.items()})
    return f"s3://{bucket}"


def test_a_glob_sees_what_was_just_written(object_store: ObjectStore) -> None:
    """An earlier listing of the same folder does not hide a new file."""
    url = put(object_store, {"in/a.csv": b"prompt\na\n", "in/b.jsonl": b'{"prompt": "b"}\n'})
    options = object_store.options
    assert prompts(read(f"{url}/in/*", storage_options=options)) == ["a", "b"]
    fsspec.filesystem("s3", **options).ls(f"{url}/in")
    fsspec.filesystem("s3", use_listings_cache=False, **options).pipe(f"{url}/in/c.txt", b"c\n")
    assert prompts(read(f"{url}/in/*", storage_options=options)) == ["a", "b", "c"]


def test_a_large_remote_file_is_read_in_blocks(object_store: ObjectStore, parti_prompts: Path) -> None:
    """More than one block, with rows that lie across their borders."""
    header, body = parti_prompts.read_bytes().split(b"\n", 1)
    url = put(object_store, {"a.tsv": header + b"\n" + body * 40})
    rows = read(f"{url}/a.tsv", storage_options=object_store.options)
    assert prompts(rows) == prompts(read(str(parti_prompts))) * 40
    assert rows[-1].source == f"{url}/a.tsv, line {1632 * 40 + 1}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.csv", r"none\.csv does not exist: check the path"),
        ("*.tsv", r"no file matches s3://.*/\*\.tsv"),
        ("in", "in is a folder: name its files with a glob"),
        ("in.csv", r"in\.csv is a folder: name its files with a glob"),
    ],
)
def test_what_is_no_object_is_one_clear_error(object_store: ObjectStore, name: str, said: str) -> None:
    """In the same words as for a disk."""
    url = put(object_store, {"in/a.csv": b"prompt\na\n", "in.csv/part-0.csv": b"prompt\na\n"})
    with pytest.raises(ManifestError, match=said):
        read(f"{url}/{name}", storage_options=object_store.options)


def test_a_store_that_nobody_runs_is_one_clear_error() -> None:
    """The raw connection error of the S3 library does not leak."""
    options = ObjectStore("http://127.0.0.1:9").options | {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    with pytest.raises(ManifestError, match=r"^s3://bucket/a\.csv can't be read: .*connect"):
        read("s3://bucket/a.csv", storage_options=options)
