"""Backends that show half a file, have no exclusive create, or lack a part of fsspec's interface."""

import asyncio
import os
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.local import LocalFileSystem

from prefect_trinetra.backends import backend
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.local_files import is_temporary
from prefect_trinetra.remote_files import RemoteFiles
from prefect_trinetra.storage import Storage


class WatchedFolders(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A blocking backend with folders and renaming, as SFTP is: it notes under which names it was asked to write."""

    protocol = "watched"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self.written.append(path)
        super().pipe_file(path, value, mode=mode, **kwargs)


class RefusingFolders(WatchedFolders):
    """The same with a full disk behind it: half of a file arrives."""

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        super().pipe_file(path, value[: len(value) // 2], mode=mode, **kwargs)
        raise OSError("disk full")


class OpenOnly(AsyncFileSystem):  # type: ignore[misc]  # fsspec has no types
    """An asynchronous backend that reads and writes through `open` alone, as sshfs does."""

    protocol = "openonly"
    cachable = False

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        return Path(path).open(mode)

    async def _makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002  # fsspec's signature
        await asyncio.to_thread(Path(path).mkdir, parents=True, exist_ok=exist_ok)

    async def _mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        await asyncio.to_thread(Path(path1).replace, path2)


@pytest.fixture
def folders() -> WatchedFolders:
    return WatchedFolders()


async def test_a_write_goes_by_way_of_a_temporary_name(folders: WatchedFolders, tmp_path: Path) -> None:
    """Where half a file would show: it is written aside and renamed, and its folder is made."""
    files = RemoteFiles(backend("watched"), lambda: folders)
    await files.write(f"{tmp_path}/a/b", b"x", durable=False)
    assert (tmp_path / "a" / "b").read_bytes() == b"x"
    assert [is_temporary(path) for path in folders.written] == [True]


async def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """Neither half a file under its name nor the temporary one."""
    files = RemoteFiles(backend("watched"), RefusingFolders)
    with pytest.raises(OSError, match="disk full"):
        await files.write(f"{tmp_path}/a", b"content", durable=False)
    assert not any(files for _, _, files in os.walk(tmp_path))


async def test_creating_looks_first_where_it_can_do_no_better(folders: WatchedFolders, tmp_path: Path) -> None:
    """One after the other is safe; two at the same moment are not, and the documentation says so."""
    files = RemoteFiles(backend("watched"), lambda: folders)
    assert await files.create(f"{tmp_path}/a", b"1")
    assert not await files.create(f"{tmp_path}/a", b"2")
    assert await files.read(f"{tmp_path}/a") == b"1"


async def test_a_file_is_brought_and_taken(folders: WatchedFolders, tmp_path: Path) -> None:
    """Through the backend's own ways for files, which need no memory."""
    files = RemoteFiles(backend("watched"), lambda: folders)
    (tmp_path / "here").write_bytes(b"x")
    await files.upload(tmp_path / "here", f"{tmp_path}/there/a")
    await files.download(f"{tmp_path}/there/a", tmp_path / "back" / "a")
    assert (tmp_path / "back" / "a").read_bytes() == b"x"
    assert await files.sizes(str(tmp_path / "there")) == {f"{tmp_path}/there/a": 1}


async def test_a_folder_that_cannot_be_read_is_no_empty_folder(tmp_path: Path) -> None:
    """fsspec's own listing passes over it in silence, and what was bought would be bought again."""

    class Unreadable(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
        cachable = False

        def ls(self, path: str, detail: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  # fsspec's
            if path.endswith("locked"):
                raise PermissionError(path)
            return super().ls(path, detail=detail, **kwargs)

    (tmp_path / "locked").mkdir()
    files = RemoteFiles(backend("watched"), Unreadable)
    with pytest.raises(PermissionError):
        await files.sizes(str(tmp_path))
    assert await files.sizes(str(tmp_path / "nothing")) == {}


async def test_a_backend_that_only_opens_is_enough(tmp_path: Path) -> None:
    """It is asynchronous, yet has no calls for whole files: they are made of its blocking ones, in a thread."""
    files = RemoteFiles(backend("openonly"), OpenOnly)
    await files.write(f"{tmp_path}/a/b", b"x", durable=True)
    assert await files.read(f"{tmp_path}/a/b") == b"x"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_filesystem_bound_to_a_loop_is_refused() -> None:
    """It would hang in every other event loop."""
    fs = OpenOnly(asynchronous=True)
    with pytest.raises(ConfigurationError, match="asynchronous=True"):
        Storage.on(fs, "folder")


async def test_a_filesystem_that_wraps_a_folder_is_seen_through(tmp_path: Path) -> None:
    """fsspec's DirFileSystem is used as what it wraps, and so with the same care."""
    storage = Storage.on(fsspec.filesystem("dir", path=str(tmp_path), target_protocol="file"), "set")
    await storage.write("a/b", b"x")
    assert await storage.list() == ["a/b"]
    assert (tmp_path / "set" / "a" / "b").read_bytes() == b"x"
