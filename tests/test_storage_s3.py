"""What is said when an object store does not do what is asked: one sentence, before anything is spent."""

from collections.abc import Iterator

import pytest

from object_store import ObjectStore, running_object_store
from prefect_trinetra.errors import ConfigurationError, StorageError, StorageUnavailable
from prefect_trinetra.storage import Storage
from prefect_trinetra.storage_address import Address


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with running_object_store() as server:
        yield server


async def test_a_missing_bucket_is_called_that(object_store: ObjectStore) -> None:
    """It is not made: a misspelt name must not become a bucket."""
    storage = Storage.open("s3://no-such-bucket/set", object_store.options)
    with pytest.raises(StorageError, match="no such bucket: create it") as caught:
        await storage.probe()
    assert not isinstance(caught.value, StorageUnavailable)


async def test_a_missing_bucket_lists_no_emptiness(object_store: ObjectStore) -> None:
    """An empty listing would mean that nothing was bought yet."""
    with pytest.raises(StorageError, match="no such bucket"):
        await Storage.open("s3://no-such-bucket/set", object_store.options).list("records")


async def test_a_whole_bucket_can_be_the_dataset(object_store: ObjectStore) -> None:
    """An address without a folder is a folder as well."""
    storage = Storage.open(f"s3://{object_store.new_bucket()}", object_store.options)
    await storage.write("a/b", b"x")
    assert await storage.list() == ["a/b"]
    assert await storage.list("a") == ["a/b"]


async def test_a_store_that_nobody_runs_is_unavailable() -> None:
    """The raw connection error of the S3 library becomes one that says: later, or elsewhere."""
    options = ObjectStore("http://127.0.0.1:9").options
    options["config_kwargs"] = {"retries": {"total_max_attempts": 1}}
    with pytest.raises(StorageUnavailable, match="can't be reached"):
        await Storage.open("s3://bucket/set", options).read("a")


async def test_a_wrong_option_is_named(object_store: ObjectStore) -> None:
    """Names of options are shown, their values never."""
    options = object_store.options | {"skip_instance_cache": True, "client_kwargs": "made-up-nonsense"}
    with pytest.raises((ConfigurationError, StorageError)) as caught:
        await Storage.open("s3://bucket/set", options).probe()
    assert "made-up-secret" not in str(caught.value)


def test_connections_are_as_many_as_uploads() -> None:
    """Ten, the library's default, would be the bottleneck; the user's own number wins."""
    own = {"config_kwargs": {"max_pool_connections": 7}}
    assert Address.parse("s3://bucket/set").options["config_kwargs"]["max_pool_connections"] == 64
    assert Address.parse("s3://bucket/set", own).options["config_kwargs"]["max_pool_connections"] == 7


async def test_wrong_credentials_are_called_that(object_store: ObjectStore) -> None:
    """The store's answer names neither the key nor the secret, and neither does ours."""
    storage = Storage.open(f"s3://{object_store.new_bucket()}/set", object_store.options)
    with object_store.checking_keys(), pytest.raises(StorageError, match="credentials") as caught:
        await storage.probe()
    assert not isinstance(caught.value, StorageUnavailable)
    assert "made-up" not in str(caught.value)
