"""What a storage promises, on each kind of backend: a disk, memory, and real servers of all others."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from places import Store
from prefect_trinetra.storage import Storage, image_name
from stores import STORES

pytestmark = pytest.mark.slow


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, stores: Callable[[str], Store]) -> Store:
    return stores(request.param)


@pytest.fixture
def storage(store: Store) -> Storage:
    """An empty folder whose name has a space and letters beyond ASCII."""
    place = store.new_place()
    return Storage.open(f"{place.url}/Bilder für später", place.options)


async def test_a_file_is_read_as_it_was_written(storage: Storage) -> None:
    """Every byte, in any folder, on every backend."""
    data = bytes(range(256)) * 100
    await storage.write("images/ab/picture.png", data)
    assert await storage.read("images/ab/picture.png") == data


async def test_an_empty_file_is_a_file(storage: Storage) -> None:
    """No bytes are content too."""
    await storage.write("empty", b"")
    assert await storage.read("empty") == b""
    assert await storage.sizes() == {"empty": 0}


async def test_writing_again_replaces(storage: Storage) -> None:
    """The last content counts, durable or not."""
    await storage.write("plan", b"a longer first content")
    await storage.write("plan", b"second", durable=True)
    assert await storage.read("plan") == b"second"


async def test_a_missing_file_is_file_not_found(storage: Storage) -> None:
    """Reading what is not there is Python's own FileNotFoundError, and it names the file."""
    with pytest.raises(FileNotFoundError, match=r"records/none\.parquet"):
        await storage.read("records/none.parquet")


async def test_a_listing_is_sorted_and_goes_all_the_way_down(storage: Storage) -> None:
    """Paths are relative to the storage, not to the folder that is listed."""
    for path in ("journal/b/2", "journal/a/1", "journal/3", "journals", "other/x"):
        await storage.write(path, b"x")
    assert await storage.list("journal") == ["journal/3", "journal/a/1", "journal/b/2"]
    assert await storage.list("journal/a/") == ["journal/a/1"]
    assert await storage.list() == ["journal/3", "journal/a/1", "journal/b/2", "journals", "other/x"]


async def test_a_missing_folder_lists_nothing(storage: Storage) -> None:
    """Neither a missing root nor a missing folder below it is an error."""
    assert await storage.list() == []
    await storage.write("a/b", b"x")
    assert await storage.list("c") == []


async def test_a_listing_is_never_stale(storage: Storage) -> None:
    """What was written or deleted since the last listing shows in the next."""
    await storage.write("a/1", b"x")
    assert await storage.list("a") == ["a/1"]
    await storage.write("a/2", b"x")
    await storage.delete("a/1")
    assert await storage.list("a") == ["a/2"]


async def test_sizes_are_in_bytes(storage: Storage) -> None:
    """The same files as the listing, each with its length."""
    await storage.write("a/1", b"12345")
    await storage.write("a/b/2", b"")
    assert await storage.sizes("a") == {"a/1": 5, "a/b/2": 0}


async def test_only_files_exist(storage: Storage) -> None:
    """A folder is none, and neither is what was never written."""
    await storage.write("a/1", b"x")
    assert await storage.exists("a/1")
    assert not await storage.exists("a")
    assert not await storage.exists("a/2")
    assert not await storage.exists("a/1/b")


async def test_deleting_what_is_missing_is_fine(storage: Storage) -> None:
    """Twice is as good as once."""
    await storage.write("a", b"x")
    await storage.delete("a")
    await storage.delete("a")
    assert await storage.list() == []


async def test_a_name_that_is_taken_is_not_created(storage: Storage) -> None:
    """What is there stays."""
    assert await storage.create("lease/1", b"first")
    assert not await storage.create("lease/1", b"second")
    assert await storage.read("lease/1") == b"first"


async def test_one_of_many_creators_wins_where_that_is_promised(store: Store, storage: Storage) -> None:
    """Exactly one gets True, and its content is what is stored. Where two may, the storage says so before."""
    assert await storage.creates_exclusively() == store.has_lease
    if not store.has_lease:
        return
    won = await asyncio.gather(*(storage.create("lease/1", b"%d" % number) for number in range(20)))
    assert won.count(True) == 1
    assert await storage.read("lease/1") == b"%d" % won.index(True)


async def test_many_files_are_written_at_once(storage: Storage) -> None:
    """Into folders that are not there yet, each by the first of many that need it."""
    names = [f"images/{number % 3:02d}/{number}" for number in range(48)]
    await asyncio.gather(*(storage.write(name, name.encode() * 500) for name in names))
    assert await storage.sizes() == {name: 500 * len(name) for name in names}


async def test_files_come_and_go_by_path(storage: Storage, tmp_path: Path) -> None:
    """Files too large for memory are moved from and to local paths; folders are made on the way."""
    source, target = tmp_path / "source", tmp_path / "new" / "folder" / "target"
    source.write_bytes(b"shard" * 1000)
    await storage.upload(source, "export/0.tar")
    await storage.download("export/0.tar", target)
    assert target.read_bytes() == source.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["target"]


async def test_what_is_missing_is_not_brought(storage: Storage, tmp_path: Path) -> None:
    """Neither way leaves anything behind."""
    with pytest.raises(FileNotFoundError, match="nothing"):
        await storage.download("nothing", tmp_path / "target")
    with pytest.raises(FileNotFoundError, match="no file"):
        await storage.upload(tmp_path / "absent", "a")
    assert not (tmp_path / "target").exists()
    assert await storage.list() == []


async def test_a_child_is_the_folder_below(storage: Storage) -> None:
    """Same files, shorter paths."""
    child = storage.child("runs/2026")
    await child.write("report.json", b"{}")
    assert await storage.list() == ["runs/2026/report.json"]
    assert await child.list() == ["report.json"]
    assert child.url == f"{storage.url}/runs/2026"
    assert storage.child("").url == storage.url


async def test_a_probe_leaves_nothing(storage: Storage) -> None:
    """It writes, reads and deletes a file whose name no listing shows."""
    await storage.probe()
    assert await storage.list() == []


def test_any_number_of_event_loops_use_one_storage(storage: Storage) -> None:
    """Prefect's task runners give every task a loop of its own."""
    for number in range(3):
        asyncio.run(storage.write(f"{number}", b"x"))
    assert asyncio.run(storage.list()) == ["0", "1", "2"]


async def test_a_cancelled_write_is_whole_or_nothing(storage: Storage) -> None:
    """Cancelling is noticed by the caller at once, and never leaves half a file."""
    data = b"x" * 3_000_000
    writing = asyncio.create_task(storage.write("a", data))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert set((await storage.sizes()).values()) <= {len(data)}


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../other", "a/../b", "a//b", "./a", "a/"])
async def test_a_path_never_leads_out(storage: Storage, path: str) -> None:
    """Absolute and climbing paths are the caller's mistake."""
    with pytest.raises(ValueError, match="no path below"):
        await storage.write(path, b"x")


async def test_a_filesystem_of_the_callers_own_holds_the_same() -> None:
    """Storage.on takes what the user has opened already, with its root in any spelling."""
    fs = fsspec.filesystem("memory")
    await Storage.on(fs, "memory://opened/here").write("a", b"x")
    assert await Storage.open("memory://opened/here").list() == ["a"]


async def test_a_local_filesystem_of_the_callers_own_is_written_like_any(tmp_path: Path) -> None:
    """It gets the same care as a path: no half files, exclusive creates."""
    storage = Storage.on(fsspec.filesystem("file"), str(tmp_path))
    assert await storage.create("a", b"1")
    assert not await storage.create("a", b"2")
    assert storage.url == str(tmp_path)


def test_an_image_is_named_by_request_and_content() -> None:
    """Two characters of the key spread the folder; key, output and digest make the name unique."""
    assert image_name("ab12" * 16, 3, "0123456789abcdef", "png") == f"images/ab/{'ab12' * 16}-3-01234567.png"
