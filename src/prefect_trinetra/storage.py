"""A folder on any fsspec backend, and the names of what is stored in it.

Every call works from any event loop and from any number of `asyncio.run`. A file appears under its name whole or not
at all. Failures are FileNotFoundError (reading what is not there), StorageUnavailable (it may work later; raised once a
store that has answered before stayed away for two minutes) and StorageError; the backend's own error is the cause.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeVar

import fsspec
from fsspec.implementations.cached import CachingFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from prefect_trinetra.backends import backend
from prefect_trinetra.errors import ConfigurationError, StorageError, StorageUnavailable, TrinetraError
from prefect_trinetra.local_files import LocalFiles, is_temporary, temporary_name
from prefect_trinetra.patience import Patience
from prefect_trinetra.remote_files import RemoteFiles
from prefect_trinetra.storage_address import Address
from prefect_trinetra.storage_errors import is_missing_bucket, secrets_of, storage_error

__all__ = ["Storage", "image_name"]

T = TypeVar("T")

# A store that is full may still have room for a few hundred bytes.
PROBE_BYTES: Final = 2**16
# Nobody waits for more to learn of a mistake; libraries would try for minutes by themselves.
TRIAL_SECONDS: Final = 30.0
SHORT_KEY_CHARACTERS: Final = 2
SHORT_SHA_CHARACTERS: Final = 8


def image_name(key: str, index: int, sha256: str, extension: str) -> str:
    """Where an image is stored, relative to the dataset: told by its request and its bytes, so never two contents."""
    short, digest = key[:SHORT_KEY_CHARACTERS], sha256[:SHORT_SHA_CHARACTERS]
    return f"images/{short}/{key}-{index}-{digest}.{extension}"


class _Files(Protocol):
    """A backend: the calls of `Storage` on whole paths, with errors of its own."""

    async def read(self, path: str) -> bytes: ...
    async def write(self, path: str, data: bytes, *, durable: bool) -> None: ...
    async def create(self, path: str, data: bytes) -> bool: ...
    async def creates_exclusively(self, path: str) -> bool: ...
    async def sizes(self, folder: str) -> dict[str, int]: ...
    async def exists(self, path: str) -> bool: ...
    async def delete(self, path: str) -> None: ...
    async def settle(self, paths: Sequence[str]) -> None: ...
    async def intact(self, path: str, sha256: str) -> bool: ...
    async def upload(self, local_path: Path, path: str) -> None: ...
    async def download(self, path: str, local_path: Path) -> None: ...


class Storage:
    """A folder. Paths are relative to it, with `/` between their parts; `url` is the folder as a user may read it."""

    __slots__ = ("_files", "_patience", "_root", "_secrets", "url")

    def __init__(self, files: _Files, root: str, url: str, hidden: list[str], patience: Patience | None = None) -> None:
        self._files = files
        self._patience = patience or Patience()
        self._root = root
        self._secrets = hidden
        self.url = url

    @classmethod
    def open(cls, url: str, options: Mapping[str, Any] | None = None) -> Self:
        """The folder at `url`: a path or an fsspec URL; `options` are that backend's, and may hold keys.

        Nothing is read or written yet. Raises ConfigurationError for an address that can't hold files, and where
        the backend's package is missing.
        """
        address = Address.parse(url, options)
        files: _Files = LocalFiles() if address.is_local else RemoteFiles(address.backend, address.filesystem)
        return cls(files, address.root, address.url, secrets_of(address.options))

    @classmethod
    def on(cls, fs: fsspec.AbstractFileSystem, root: str) -> Self:
        """The folder `root` of a file system that the caller opened. Such a storage does not survive a fork."""
        if getattr(fs, "asynchronous", False):
            raise ConfigurationError("a file system with asynchronous=True dies with its event loop: leave that out")
        path = str(fs._strip_protocol(root)).rstrip("/")  # noqa: SLF001  # fsspec's way to a bare path
        if isinstance(fs, DirFileSystem):
            return cls.on(fs.fs, f"{fs.path}/{path}")
        if isinstance(fs, CachingFileSystem):  # what is written is never read from a copy
            return cls.on(fs.fs, root)
        if isinstance(fs, LocalFileSystem):
            return cls(LocalFiles(), path, path or "/", [])
        protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
        url = str(fs.unstrip_protocol(path))
        return cls(RemoteFiles(backend(protocol), lambda: fs), path, url, secrets_of(fs.storage_options))

    def child(self, path: str) -> Self:
        """The folder `path` below this one."""
        relative = f"/{_checked(path)}" if path else ""
        url = self.url.rstrip("/") + relative
        return type(self)(self._files, self._root + relative, url, self._secrets, self._patience)

    @property
    def impatient(self) -> Self:
        """The same folder for callers that repeat what fails by themselves: each call is tried once."""
        return type(self)(self._files, self._root, self.url, self._secrets, Patience(seconds=0.0))

    async def read(self, path: str) -> bytes:
        """The whole file. Raises FileNotFoundError where it is missing."""
        return await self._do("reading", path, self._files.read, missing=True)

    async def write(self, path: str, data: bytes, *, durable: bool = False) -> None:
        """Writes or replaces a file. `durable`: on a local disk it outlives a power loss from now on, too."""
        await self._do("writing", path, lambda full: self._files.write(full, data, durable=durable))

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine, where `write_here` works."""
        return isinstance(self._files, LocalFiles)

    def write_here(self, path: str, data: bytes) -> None:
        """`write` for a local folder, in the calling thread, which is to be none with an event loop."""
        with self._failures("writing", path) as full:
            if not isinstance(self._files, LocalFiles):
                raise TypeError(f"{self.url} is no local folder: await write() instead")
            self._files.write_here(full, data)

    async def create(self, path: str, data: bytes) -> bool:
        """Writes a file, durably, unless there is one of that name: False. Of several callers one alone gets True.

        That is certain where `creates_exclusively` says so; elsewhere two callers at the same moment may both get True.
        After StorageUnavailable either may have happened.
        """
        with self._failures("creating", path) as full:
            return await self._files.create(full, data)

    async def creates_exclusively(self, *, seconds: float = TRIAL_SECONDS) -> bool:
        """Whether of several callers of `create` certainly one alone gets True here; tried out where servers differ."""
        async with self._trial(seconds) as root:
            return await self._files.creates_exclusively(f"{root}/{temporary_name()}")

    async def list(self, prefix: str = "") -> list[str]:
        """Every file in the folder `prefix` and below, sorted; none where there is no such folder."""
        return sorted(await self.sizes(prefix))

    async def sizes(self, prefix: str = "") -> dict[str, int]:
        """The files that `list` names, each with its size in bytes."""
        folder = prefix.rstrip("/")
        found = await self._do("listing", folder or None, lambda full: self._files.sizes(full or "/"))
        below, start = f"{self._root}/{folder}/" if folder else f"{self._root}/", len(self._root) + 1
        return {path[start:]: size for path, size in found.items() if path.startswith(below) and not is_temporary(path)}

    async def exists(self, path: str) -> bool:
        """Whether there is such a file; a folder is none."""
        return await self._do("looking for", path, self._files.exists)

    async def delete(self, path: str) -> None:
        """Deletes a file; that it is missing is fine."""
        await self._do("deleting", path, self._files.delete)

    async def settle(self, paths: Sequence[str]) -> None:
        """Makes files that were written before outlive a power loss, too; cheaper for many than `durable` for each."""
        with self._failures("settling", None):
            await self._files.settle([f"{self._root}/{_checked(path)}" for path in paths])

    async def intact(self, path: str, sha256: str) -> bool:
        """Whether a file that was written, but not settled, outlived what ended its writer.

        Only a local disk can have lost it (to a power loss) and is read; elsewhere a write that was acknowledged stays.
        """
        return await self._do("reading", path, lambda full: self._files.intact(full, sha256))

    async def upload(self, local_path: Path, path: str) -> None:
        """Stores a local file of any size. Raises FileNotFoundError where there is no such local file."""
        if not local_path.is_file():  # noqa: ASYNC240  # one look at a local disk
            raise FileNotFoundError(f"there is no file {local_path}")
        await self._do("writing", path, lambda full: self._files.upload(local_path, full))

    async def download(self, path: str, local_path: Path) -> None:
        """Brings a file of any size to a local path. Raises FileNotFoundError where it is missing."""
        await self._do("reading", path, lambda full: self._files.download(full, local_path), missing=True)

    async def probe(self, *, seconds: float = TRIAL_SECONDS) -> None:
        """Writes, reads and deletes a small file: one clear StorageError before anything is spent, within `seconds`."""
        data = secrets.token_bytes(PROBE_BYTES)
        async with self._trial(seconds) as root:
            path = f"{root}/{temporary_name()}"
            await self._files.write(path, data, durable=True)
            found = await self._files.read(path)
            await self._files.delete(path)
        if found != data:
            raise StorageError(f"{self.url} gives back other bytes than were written: it can't hold a dataset")

    @asynccontextmanager
    async def _trial(self, seconds: float) -> AsyncIterator[str]:
        """The root, for calls that show what the store is good for; past `seconds` they are given up."""
        try:
            async with asyncio.timeout(seconds) as limit:
                with self._failures("trying out", None) as root:
                    yield root
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise StorageUnavailable(
                f"trying out {self.url} failed: the store gave no answer in {seconds:g} s. It may be out of reach, "
                "full or read-only: check the address and the store, or try again later"
            ) from error

    async def _do(
        self, doing: str, path: str | None, call: Callable[[str], Awaitable[T]], *, missing: bool = False
    ) -> T:
        """What `call` returns for the whole path; again while the store is away, once it has answered before."""

        async def once() -> T:
            with self._failures(doing, path, missing=missing) as full:
                return await call(full)

        return await self._patience.repeat(once)

    @contextmanager
    def _failures(self, doing: str, path: str | None, *, missing: bool = False) -> Iterator[str]:
        """The whole path (None: the root). Every failure becomes ours; `missing`: FileNotFoundError is left one."""
        full = self._root if path is None else f"{self._root}/{_checked(path)}"
        url = self.url if path is None else f"{self.url.rstrip('/')}/{path}"
        try:
            yield full
        except TrinetraError:
            raise
        except Exception as error:
            if missing and isinstance(error, FileNotFoundError) and not is_missing_bucket(error):
                raise FileNotFoundError(f"there is no file {url}") from error
            raise storage_error(error, doing=doing, url=url, secrets=self._secrets) from error

    def __repr__(self) -> str:
        return f"Storage({self.url!r})"


def _checked(path: str) -> str:
    parts = path.split("/")
    if "" in parts or ".." in parts or "." in parts:
        raise ValueError(f"{path!r} is no path below a storage: give one such as folder/name")
    return path
