"""Which addresses can hold a dataset, and what is said about the others."""

import importlib.util

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
        ("simplecache::s3://bucket/set", "can't be written to"),
        ("s4://bucket/set", "no kind of storage called s4://"),
        ("s3://bucket/set?versionId=1", "leave out what follows"),
        ("s3://key:verysecret@bucket/set", "put them in the storage options"),
    ],
)
def test_an_address_that_holds_no_files_is_refused(address: str, sentence: str) -> None:
    """In one sentence that says what to write instead, and without any secret."""
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        Storage.open(address)
    assert "verysecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "package", "extra"),
    [
        ("gs", "gcsfs", "gcs"),
        ("gcs", "gcsfs", "gcs"),
        ("abfs", "adlfs", "azure"),
        ("az", "adlfs", "azure"),
        ("ssh", "sshfs", "sftp"),
    ],
)
def test_a_missing_package_is_named_by_its_extra(scheme: str, package: str, extra: str) -> None:
    """What the user types next stands in the message."""
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed here")
    with pytest.raises(ConfigurationError, match=rf"pip install 'prefect-trinetra\[{extra}\]'"):
        Storage.open(f"{scheme}://bucket/set")


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
