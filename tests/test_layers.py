"""A dataset behind fsspec's layers: it is where the last link says, and nothing is read from a copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from places import Store
from prefect_trinetra.links import last_protocol
from prefect_trinetra.storage import Storage
from stores import STORES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", STORES)
async def test_what_another_changed_is_seen(name: str, stores: Callable[[str], Store]) -> None:
    """Rule: the ledger is read from the storage itself, whatever layer stands before it in the address."""
    place = stores(name).new_place()
    itself = Storage.open(place.url, place.options)
    for layer in ("simplecache::", "filecache::", "blockcache::", "dir::", "filecache::dir::"):
        behind = Storage.open(f"{layer}{place.url}", {last_protocol(place.url): place.options})
        await behind.write("a", b"first")
        assert await behind.read("a") == await itself.read("a") == b"first"
        await itself.write("a", b"second")
        assert await behind.read("a") == b"second"
        assert behind.url == itself.url


async def test_a_file_system_with_copies_is_seen_through(tmp_path: Path) -> None:
    """One that the caller has opened, too."""
    fs = fsspec.filesystem("simplecache", target_protocol="file", cache_storage=str(tmp_path / "copies"))
    storage = Storage.on(fs, str(tmp_path / "set"))
    await storage.write("a", b"first")
    assert await storage.read("a") == b"first"
    (tmp_path / "set" / "a").write_bytes(b"second")
    assert await storage.read("a") == b"second"
    assert not (tmp_path / "copies").exists() or not list((tmp_path / "copies").iterdir())
