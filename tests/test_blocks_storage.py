"""Names in a storage become addresses, and keys go nowhere but where they belong."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.filesystems import LocalFileSystem, RemoteFileSystem
from prefect.types import SecretDict

from prefect_trinetra.blocks.storage import DatasetStorage, StorageBlock, resolve
from prefect_trinetra.errors import ConfigurationError

KEYS = {"key": "id", "secret": "s3cret"}
BUCKET = DatasetStorage(root="s3://bucket/sets/", options=SecretDict(KEYS))
PREFECTS = RemoteFileSystem(basepath="s3://bucket/sets", settings=KEYS)


@pytest.mark.parametrize("storage", [BUCKET, PREFECTS], ids=["ours", "prefect's"])
def test_a_name_is_relative_to_the_root(storage: StorageBlock) -> None:
    """Prefect's own remote file system serves as well as ours."""
    assert resolve(storage, "cats") == ("s3://bucket/sets/cats", KEYS)
    assert resolve(storage, "./prompts/*.csv") == ("s3://bucket/sets/prompts/*.csv", KEYS)


def test_an_address_of_the_same_kind_is_opened_with_the_same_keys() -> None:
    """They are an account's, good for each of its buckets."""
    assert resolve(BUCKET, "s3://other/cats") == ("s3://other/cats", KEYS)


def test_keys_reach_the_storage_behind_a_layer() -> None:
    """A chained address is opened with them where its last link lies in the same storage."""
    archive = "zip://a.csv::s3://bucket/in.zip"
    assert resolve(BUCKET, archive) == (archive, {"s3": KEYS})
    layered = DatasetStorage(root="simplecache::s3://bucket/sets", options=SecretDict({"s3": KEYS}))
    assert resolve(layered, "cats") == ("simplecache::s3://bucket/sets/cats", {"s3": KEYS})
    assert resolve(layered, "s3://other/cats") == ("s3://other/cats", {"s3": KEYS})
    assert resolve(layered, "simplecache::gs://other/cats") == ("simplecache::gs://other/cats", {})


def test_keys_of_an_account_are_not_sent_to_another() -> None:
    """Azure's addresses may name the account."""
    storage = DatasetStorage(root="abfs://sets@one.dfs.core.windows.net/a", options=SecretDict({"account_key": "k"}))
    assert resolve(storage, "abfs://other@one.dfs.core.windows.net/b")[1] == {"account_key": "k"}
    assert resolve(storage, "abfs://other@two.dfs.core.windows.net/b")[1] == {}
    assert resolve(storage, "abfs://other/b")[1] == {}


@pytest.mark.parametrize("elsewhere", ["gs://other/cats", "/data/cats", "memory://cats"])
def test_keys_are_not_sent_elsewhere(elsewhere: str) -> None:
    """An address of another kind is opened without them."""
    assert resolve(BUCKET, elsewhere) == (elsewhere, {})


def test_keys_of_a_host_are_not_sent_to_another() -> None:
    """A password belongs to one machine."""
    storage = DatasetStorage(root="sftp://one.example.org/sets", options=SecretDict({"password": "p"}))
    assert resolve(storage, "sftp://one.example.org/other")[1] == {"password": "p"}
    assert resolve(storage, "sftp://two.example.org/sets")[1] == {}


def test_a_resolved_name_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker resolves what the flow has resolved before, in a folder of its own maybe."""
    monkeypatch.chdir(tmp_path)
    for storage in (DatasetStorage(root="data"), LocalFileSystem(basepath="data"), BUCKET):
        once, _ = resolve(storage, "cats")
        assert resolve(storage, once)[0] == once
    assert resolve(DatasetStorage(root="data"), "cats")[0] == str(tmp_path / "data" / "cats")


def test_without_a_storage_a_name_is_an_address() -> None:
    """A path or a URL, without options."""
    assert resolve(None, "cats") == ("cats", {})


@pytest.mark.parametrize("name", ["../cats", "sets/../../cats", " ", ""])
def test_a_name_stays_below_the_root(name: str) -> None:
    """Nobody writes into a neighbour's folder by mistake."""
    with pytest.raises(ConfigurationError):
        resolve(BUCKET, name)


def test_masked_options_are_refused() -> None:
    """Prefect sends asterisks where a block is passed by value to a deployment."""
    with pytest.raises(ConfigurationError, match=r"\$ref"):
        resolve(DatasetStorage(root="s3://bucket", options=SecretDict({"secret": "********"})), "cats")


def test_the_file_system_is_the_roots(tmp_path: Path) -> None:
    """With the options of the block."""
    storage = DatasetStorage(root=str(tmp_path), options=SecretDict({"auto_mkdir": True}))
    files = storage.get_filesystem()
    files.pipe_file(f"{tmp_path}/new/file", b"x")
    assert (tmp_path / "new" / "file").read_bytes() == b"x"
