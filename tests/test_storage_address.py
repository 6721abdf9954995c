"""Which addresses can hold a dataset, and what is said about the others."""

from typing import Any

import pytest

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.storage import Storage
from prefect_trinetra.storage_address import Address


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("s3://", "names no bucket"),
        ("http://example.org/set", "can't be written to"),
        ("https://example.org/set", "can't be written to"),
        ("zip://set::s3://bucket/a.zip", "can't be written to: zip:// is no layer over a folder"),
        ("zip://a.zip", "can't be written to"),
        ("tar:///a.tar", "can't be written to"),
        ("simplecache::https://example.org/set", "can't be written to"),
        ("simplecache::zip::s3://bucket/a.zip", "can't be written to"),
        ("filecache://set::s3://bucket", "leave out what follows filecache://"),
        ("gs://", "names no bucket"),
        ("abfs://", "names no bucket"),
        ("webdav:///set", "names no host"),
        ("s4://bucket/set", "no kind of storage called s4://"),
        ("s3://bucket/set?versionId=1", "leave out what follows"),
        ("s3://key:verysecret@bucket/set", "put them in the storage options"),
        ("abfs://bucket:verysecret@account.dfs.core.windows.net/set", "put them in the storage options"),
        ("simplecache::s3://key:verysecret@bucket/set", "put them in the storage options"),
    ],
)
def test_an_address_that_holds_no_files_is_refused(address: str, sentence: str) -> None:
    """In one sentence that says what to write instead, and without any secret."""
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        Storage.open(address)
    assert "verysecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://bucket/set/", "s3://bucket/set"),
        ("s3://bucket/a set#1", "s3://bucket/a set#1"),
        ("memory://set", "memory://set"),
        ("ftp://ann:verysecret@host/set", "ftp://ann@host/set"),
        ("ftp://ann@host/set", "ftp://ann@host/set"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    """All the rest stays, so that it can be opened again."""
    found = Address.parse(address)
    assert found.url == shown
    assert "verysecret" not in repr(found)


@pytest.mark.parametrize(
    ("address", "options", "where", "opened_with"),
    [
        ("s3://b/set", {"s3": {"anon": True}, "simplecache": {"cache_storage": "c"}}, "s3://b/set", {"anon": True}),
        ("simplecache::s3://b/set", {"s3": {"anon": True}, "cache_storage": "c"}, "s3://b/set", {"anon": True}),
        ("filecache::simplecache::s3://b/set", {"s3": {"anon": True}}, "s3://b/set", {"anon": True}),
        ("blockcache::s3://b/set", {"target_options": {"anon": True}}, "s3://b/set", {"anon": True}),
        ("dir::s3://b/set", {"s3": {"anon": True}}, "s3://b/set", {"anon": True}),
        ("dir://below::s3://b/set", {}, "s3://b/set/below", {}),
        ("simplecache::dir://below::memory://set", {}, "memory://set/below", {}),
        ("az://b/set", {"abfs": {"account_name": "a"}}, "az://b/set", {"account_name": "a"}),
        (
            "abfs://b@acc.dfs.core.windows.net/set", {},
            "abfs://b@acc.dfs.core.windows.net/set", {"account_name": "acc"},
        ),
        ("webdav://h:8/set", {"auth": ["a", "b"]}, "webdav://h:8/set", {"base_url": "http://h:8", "auth": ("a", "b")}),
        ("webdavs://a:b@h/set", {}, "webdavs://a@h/set", {"base_url": "https://h", "auth": ("a", "b")}),
        ("davs://h/set", {}, "davs://h/set", {"base_url": "https://h"}),
        ("webdav://set", {"base_url": "https://h/dav"}, "webdav://set", {"base_url": "https://h/dav"}),
    ],
)  # fmt: skip
def test_an_address_and_options_as_a_user_writes_them(
    address: str, options: dict[str, Any], where: str, opened_with: dict[str, Any]
) -> None:
    """Layers are seen through, options nest as fsspec has them, and become what the library wants."""
    found = Address.parse(address, options)
    assert found.url == where
    assert opened_with.items() <= found.options.items()
    assert "cache_storage" not in found.options


def test_a_key_is_never_dropped() -> None:
    """What is given to a layer that is not used, and may be meant for the storage, is an error."""
    with pytest.raises(ConfigurationError, match=r'secret .*simplecache://.*as in {"s3": {\.\.\.}}') as caught:
        Storage.open("simplecache::s3://bucket/set", {"secret": "made-up-secret"})
    assert "made-up-secret" not in str(caught.value)


def test_options_are_never_shown() -> None:
    """They may hold keys: neither an address nor a storage prints them."""
    options = {"key": "made-up-key", "secret": "made-up-secret"}
    assert "made-up" not in repr(Address.parse("s3://bucket/set", options))
    assert "made-up" not in repr(Storage.open("s3://bucket/set", options))


def test_no_file_system_is_bound_to_the_callers_loop() -> None:
    """Such an option would make calls hang once that loop is gone: it is left out."""
    assert "asynchronous" not in Address.parse("memory://set", {"asynchronous": True}).options


def test_options_that_a_backend_does_not_take_are_named() -> None:
    """When the file system is opened: by name, never by value."""
    address = Address.parse("s3://bucket/set", {"max_concurrency": -1, "secret": "made-up-secret"})
    with pytest.raises(ConfigurationError, match="max_concurrency") as caught:
        address.filesystem()
    assert "made-up-secret" not in str(caught.value)


def test_an_option_of_the_wrong_shape_is_told() -> None:
    """Before any library stumbles over it."""
    with pytest.raises(ConfigurationError, match="config_kwargs"):
        Storage.open("s3://bucket/set", {"config_kwargs": "fast"})
