"""Files of any other fsspec backend, from any event loop: asynchronous on fsspec's own loop, the rest in threads."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

import fsspec

from prefect_trinetra.backends import Backend, Exclusive
from prefect_trinetra.filesystem_calls import called, can_move, finds
from prefect_trinetra.local_files import temporary_name
from prefect_trinetra.storage_errors import is_missing_bucket, is_taken, may_pass
from prefect_trinetra.threads import in_thread

__all__ = ["RemoteFiles"]

# A call to a store that hangs ends here; 64 MiB at 1 MB/s take a minute. Listings and whole files take what they take.
CALL_SECONDS: Final = 300.0
# Held while a library that only looks before it creates does so: two threads could both find a name free.
_creating: Final = threading.Lock()

Place = Callable[[str], Awaitable[object]]


class RemoteFiles:
    """A backend on an fsspec file system, opened at the first call and again after a fork.

    Its errors are those of the library beneath.
    """

    def __init__(self, backend: Backend, open_filesystem: Callable[[], fsspec.AbstractFileSystem]) -> None:
        self._backend = backend
        self._open = open_filesystem
        self._opened: tuple[int, fsspec.AbstractFileSystem] | None = None
        self._opening = threading.Lock()
        self._making = threading.Lock()
        self._folders: set[str] = set()
        self._is_exclusive = False

    async def read(self, path: str) -> bytes:
        return bytes(await self._call("cat_file", path))

    async def write(self, path: str, data: bytes, *, durable: bool) -> None:
        del durable  # nothing more can be asked of a store than its acknowledgement
        if self._backend.put is not None:
            await self._place(path, lambda target: self._put(target, lambda: io.BytesIO(data)))
            return
        await self._place(path, lambda target: self._call("pipe_file", target, data))

    async def create(self, path: str, data: bytes) -> bool:
        # Some servers write over what is there without a word: until one has shown that it does not, look first.
        if not self._is_exclusive and await self.exists(path):
            return False
        return await self._created(path, data)

    async def creates_exclusively(self, path: str) -> bool:
        """Tries it with a file at `path`, which is deleted again: some servers ignore the condition of a put."""
        if self._backend.exclusive is Exclusive.ABSENT:
            return False
        try:
            first, second = await self._created(path, b"first"), await self._created(path, b"second")
            self._is_exclusive = first and not second and await self.read(path) == b"first"
        except Exception:  # not where it was cancelled: a store that hangs would hang again
            with contextlib.suppress(Exception):
                await self.delete(path)
            raise
        await self.delete(path)
        return self._is_exclusive

    async def sizes(self, folder: str) -> dict[str, int]:
        fs = await self._filesystem()
        fs.invalidate_cache()
        entries = await (self._found(folder) if finds(fs) else self._walked(folder))
        return {str(entry["name"]): int(entry["size"]) for entry in entries if entry.get("type") == "file"}

    async def _found(self, folder: str) -> list[dict[str, Any]]:
        try:
            return list((await self._call("find", folder, seconds=None, detail=True)).values())
        except FileNotFoundError as error:
            if is_missing_bucket(error):
                raise
            return []

    async def _walked(self, folder: str) -> list[dict[str, Any]]:
        """Everything below `folder`, level by level."""
        entries: list[dict[str, Any]] = []
        folders = [folder]
        while folders:
            level = list(chain.from_iterable(await asyncio.gather(*map(self._listed, folders))))
            folders = [str(entry["name"]).rstrip("/") for entry in level if entry["type"] == "directory"]
            entries += level
        return entries

    async def _listed(self, folder: str) -> list[dict[str, Any]]:
        try:
            return list(await self._call("ls", folder, detail=True))
        except FileNotFoundError:
            return []

    async def exists(self, path: str) -> bool:
        try:
            return bool((await self._call("info", path))["type"] == "file")
        except FileNotFoundError:
            return False

    async def delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            await self._call("rm_file", path)

    async def settle(self, paths: Sequence[str]) -> None:
        """Nothing to do: what a server has acknowledged is as durable as it gets."""

    async def intact(self, path: str, sha256: str) -> bool:
        return True

    async def upload(self, local_path: Path, path: str) -> None:
        if self._backend.put is not None:
            await self._place(path, lambda target: self._put(target, lambda: local_path.open("rb")))
            return
        replacing = self._backend.replacing
        await self._place(
            path, lambda target: self._call("put_file", str(local_path), target, seconds=None, **replacing)
        )

    async def download(self, path: str, local_path: Path) -> None:
        await in_thread(partial(local_path.parent.mkdir, parents=True, exist_ok=True))
        temporary = local_path.parent / temporary_name()
        try:
            await self._call("get_file", path, str(temporary), seconds=None)
            await in_thread(partial(temporary.replace, local_path))
        finally:
            await in_thread(partial(temporary.unlink, missing_ok=True))

    async def _filesystem(self) -> fsspec.AbstractFileSystem:
        if (opened := self._opened) is not None and opened[0] == os.getpid():
            return opened[1]
        # Some backends connect when they are opened.
        return await in_thread(self._opened_once)

    def _opened_once(self) -> fsspec.AbstractFileSystem:
        with self._opening:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), self._open())
            return self._opened[1]

    def _forget(self, fs: fsspec.AbstractFileSystem) -> None:
        """Lets go of a connection that is lost: the next call makes another."""
        type(fs).clear_instance_cache()
        if self._opened is not None and self._opened[1] is fs:
            self._opened = None

    async def _call(self, name: str, *args: Any, seconds: float | None = CALL_SECONDS, **options: Any) -> Any:
        fs = await self._filesystem()
        try:
            return await called(fs, name, *args, seconds=seconds, **options)
        except Exception as error:
            if self._backend.has_one_connection and may_pass(error):
                self._forget(fs)
            raise

    async def _created(self, path: str, data: bytes) -> bool:
        if self._backend.exclusive is Exclusive.ABSENT:
            await self.write(path, data, durable=True)
            return True
        try:
            await self._create_exclusively(path, data)
        except OSError as error:
            if is_taken(error):
                return False
            raise
        return True

    async def _create_exclusively(self, path: str, data: bytes) -> None:
        if not self._backend.looks_before_creating:
            await self._call("pipe_file", path, data, mode="create")
            return
        fs = await self._filesystem()

        def create() -> None:
            with _creating:
                fs.pipe_file(path, data, mode="create")

        await in_thread(create)

    async def _place(self, path: str, put: Place) -> None:
        """Has `put` write to `path`; by way of a temporary name where half a file would show otherwise."""
        if not self._backend.shows_halves:
            await put(path)
            return
        folder = path.rpartition("/")[0]
        await self._make(folder)
        if self._backend.rename is None and not can_move(await self._filesystem()):
            await put(path)
            return
        temporary = f"{folder}/{temporary_name()}"
        try:
            await put(temporary)
            await self._move(temporary, path)
        except Exception:
            self._folders.discard(folder)
            with contextlib.suppress(Exception):  # what went wrong first is raised
                await self.delete(temporary)
            raise

    async def _put(self, target: str, opened: Callable[[], BinaryIO]) -> None:
        fs, put = await self._filesystem(), self._backend.put

        def work() -> None:
            with opened() as file:
                if put is not None:
                    put(fs, target, file)

        await in_thread(work)

    async def _make(self, folder: str) -> None:
        if folder not in self._folders:
            await in_thread(partial(self._make_once, await self._filesystem(), folder))

    def _make_once(self, fs: fsspec.AbstractFileSystem, folder: str) -> None:
        """One at a time: of two that make the same levels at once, some stores refuse one."""
        with self._making:
            if folder in self._folders:
                return
            with contextlib.suppress(Exception):  # not every backend has folders; the write tells if one is missing
                fs.makedirs(folder, exist_ok=True)
            self._folders.add(folder)

    async def _move(self, temporary: str, path: str) -> None:
        if self._backend.rename is not None:
            await in_thread(partial(self._backend.rename, await self._filesystem(), temporary, path))
            return
        try:
            await self._call("mv", temporary, path)
        except OSError as error:
            if not isinstance(error, FileExistsError) and error.errno != errno.EEXIST:
                raise
            await self.delete(path)
            await self._call("mv", temporary, path)
