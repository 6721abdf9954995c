"""A store that does not take files: one clear error before anything is spent, on each kind."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from full_disk import full_disk
from places import Place, Store
from prefect_trinetra.errors import ConfigurationError, StorageError, StorageUnavailable
from prefect_trinetra.loop import io_loop
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.storage import Storage
from runs import prompts, run
from stores import AZURE_KEY, KEY, READER_KEY, SECRET, STORES, sftp, webdav

pytestmark = pytest.mark.slow

WRONG = "d3Jvbmcta2V5LW9mLXNvbWVib2R5"
CREDENTIALS, NOWHERE, NO_ROOM = "credentials", "no such bucket|no host", "room|full"


def wrong_secret(place: Place) -> Place:
    return replace(place, options=place.options | {"secret": WRONG})


def only_a_reader(place: Place) -> Place:
    return replace(place, options=place.options | {"key": READER_KEY})


def wrong_password(place: Place) -> Place:
    return replace(place, options=place.options | {"auth": ["ann", WRONG]})


def wrong_account_key(place: Place) -> Place:
    connection = place.options["connection_string"].replace(AZURE_KEY, WRONG)
    return replace(place, options={"connection_string": connection})


def wrong_user_key(place: Place) -> Place:
    (key,) = place.options["client_keys"]
    return replace(place, options=place.options | {"client_keys": [str(Path(key).with_name("other"))]})


def unknown_host_key(place: Place) -> Place:
    """The server's key is not the one that is known."""
    other = Path(place.options["known_hosts"]).with_name("known-other")
    host = Path(place.options["known_hosts"]).read_text().split()[0]
    other.write_text(f"{host} {other.with_name('other.pub').read_text()}")
    return replace(place, options=place.options | {"known_hosts": str(other)})


def no_bucket(place: Place) -> Place:
    return replace(place, url=f"{place.url.partition('://')[0]}://no-such-bucket/set")


def no_host(place: Place) -> Place:
    return replace(place, url="webdav:///set")


def without_options(place: Place) -> Place:
    return replace(place, options={})


def assert_refused(shop: SandboxHandle, place: Place, said: str, *, lease: bool) -> None:
    """One sentence without a secret, and nothing bought."""
    with pytest.raises((StorageError, ConfigurationError), match=said) as caught:
        run(shop, prompts(3), place.url, storage_options=place.options, lease=lease)
    message = str(caught.value)
    assert place.url.partition("@")[2] in message
    assert not any(secret in message for secret in (SECRET, AZURE_KEY, WRONG))
    assert len(message.splitlines()) == 1
    assert shop.bill()["submits"] == 0


@pytest.mark.parametrize(
    ("name", "mistaken", "said"),
    [
        ("seaweed", wrong_secret, CREDENTIALS),
        ("seaweed", no_bucket, NOWHERE),
        ("seaweed", only_a_reader, "permission"),
        ("rclone-s3", wrong_secret, CREDENTIALS),
        ("rclone-s3", no_bucket, NOWHERE),
        ("moto", no_bucket, NOWHERE),
        ("azure", wrong_account_key, CREDENTIALS),
        ("azure", no_bucket, NOWHERE),
        ("gcs", no_bucket, NOWHERE),
        ("sftp", wrong_user_key, CREDENTIALS),
        ("sftp", unknown_host_key, "key is not trusted"),
        ("webdav", wrong_password, CREDENTIALS),
        ("webdav", without_options, CREDENTIALS),
        ("webdav", no_host, NOWHERE),
    ],
)
def test_a_mistake_costs_nothing(
    name: str, mistaken: Callable[[Place], Place], said: str, shop: SandboxHandle, stores: Callable[[str], Store]
) -> None:
    """Rule: wrong keys, a missing bucket, another host than the known one are told by the probe."""
    store = stores(name)
    assert_refused(shop, mistaken(store.new_place()), said, lease=store.has_lease)


def test_a_store_that_only_reads_costs_nothing(shop: SandboxHandle, tmp_path: Path) -> None:
    """Rule: missing permission to write is told by the probe."""
    for name in ("sftp", "webdav"):
        (tmp_path / name).mkdir()
    with sftp(tmp_path / "sftp", flags="-R") as store:
        assert_refused(shop, store.new_place(), "permission", lease=False)
    with webdav(tmp_path / "webdav", flags=("--read-only",)) as store:
        assert_refused(shop, store.new_place(), "takes no files", lease=False)


@pytest.mark.parametrize(("name", "megabytes"), [("webdav", 4), ("sftp", 4), ("seaweed", 64)])
def test_a_full_store_costs_nothing(name: str, megabytes: int, shop: SandboxHandle, tmp_path: Path) -> None:
    """Rule: no room is told by the probe; once there is room the same run goes through."""
    (tmp_path / "files").mkdir()
    with full_disk(tmp_path / "files", megabytes=megabytes) as disk, STORES[name](tmp_path) as store:
        place = store.new_place()
        # Without room for a bucket's first file, SeaweedFS says nothing until its clients give up.
        io_loop().run(Storage.open(place.url, place.options).probe())
        disk.fill()
        assert_refused(shop, place, NO_ROOM, lease=store.has_lease)
        disk.clear()
        report = run(shop, prompts(3), place.url, storage_options=place.options, lease=store.has_lease)
    assert report.outcomes["succeeded"] == 3


@pytest.mark.parametrize("name", ["s3", "gs", "az", "webdav", "sftp"])
async def test_a_store_that_never_answers_is_given_up(name: str) -> None:
    """Rule: what is tried out before anything is spent ends in time, however often the library would try again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # whoever waits for it is let go when it closes
        place = on_port(name, silent.getsockname()[1])
        storage = Storage.open(place.url, place.options)
        for trial in (storage.creates_exclusively, storage.probe):
            if name in {"webdav", "sftp"} and trial == storage.creates_exclusively:
                continue  # known without a question
            with pytest.raises(StorageUnavailable, match=r"no answer in 0\.3 s") as caught:
                await trial(seconds=0.3)
            assert place.url.partition("@")[2] in str(caught.value)
            assert not any(secret in str(caught.value) for secret in (SECRET, AZURE_KEY))


def on_port(name: str, port: int) -> Place:
    """A folder in a store of that kind, whatever listens there."""
    host, http = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"
    azure = f"DefaultEndpointsProtocol=http;AccountName=ann;AccountKey={AZURE_KEY};BlobEndpoint={http}/ann;"
    places = {
        "s3": Place("s3://bucket/set", {"key": KEY, "secret": SECRET, "endpoint_url": http}),
        "gs": Place("gs://bucket/set", {"token": "anon", "endpoint_url": http}),
        "az": Place("az://container/set", {"connection_string": azure}),
        "webdav": Place(f"webdav://{host}/set", {"auth": ["ann", SECRET]}),
        "sftp": Place(f"sftp://ann@{host}/set", {"password": SECRET}),
    }
    return places[name]
