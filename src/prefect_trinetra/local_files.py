"""Files of this machine: written under a temporary name and moved, so that a name never shows half a file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from prefect_trinetra.threads import in_thread

__all__ = ["LocalFiles", "is_temporary", "temporary_name"]

TEMPORARY_SUFFIX: Final = ".part"
TOKEN_BYTES: Final = 6
TEMPORARY_CHARACTERS: Final = 1 + 2 * TOKEN_BYTES + len(TEMPORARY_SUFFIX)
# Less what the process's umask takes away, as open() does it.
NEW_FILE_MODE: Final = 0o666
# What file systems without hard links answer (FAT, some network mounts).
NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


def temporary_name() -> str:
    """A new file name that listings leave out: a killed writer may leave it behind."""
    return f".{secrets.token_hex(TOKEN_BYTES)}{TEMPORARY_SUFFIX}"


def is_temporary(path: str) -> bool:
    """Whether the last part of `path` is such a name."""
    name = path.rpartition("/")[2]
    return len(name) == TEMPORARY_CHARACTERS and name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


class LocalFiles:
    """A backend on absolute local paths. Its errors are the operating system's own."""

    def __init__(self) -> None:
        # Folders whose own entries, up to the root, are known to be on the disk.
        self._settled: set[Path] = {Path("/")}

    async def read(self, path: str) -> bytes:
        return await in_thread(Path(path).read_bytes)

    async def write(self, path: str, data: bytes, *, durable: bool) -> None:
        await in_thread(partial(self._write, path, data, durable=durable))

    def write_here(self, path: str, data: bytes) -> None:
        self._write(path, data, durable=False)

    async def create(self, path: str, data: bytes) -> bool:
        return await in_thread(partial(self._create, Path(path), data))

    async def creates_exclusively(self, path: str) -> bool:
        del path  # a hard link, or O_EXCL, is exclusive by the system's word
        return True

    async def sizes(self, folder: str) -> dict[str, int]:
        return await in_thread(partial(_sizes, folder))

    async def exists(self, path: str) -> bool:
        return await in_thread(partial(_is_file, Path(path)))

    async def delete(self, path: str) -> None:
        await in_thread(partial(_delete, Path(path)))

    async def settle(self, paths: Sequence[str]) -> None:
        await in_thread(partial(self._settle_all, paths))

    async def upload(self, local_path: Path, path: str) -> None:
        await in_thread(partial(self._upload, local_path, Path(path)))

    async def download(self, path: str, local_path: Path) -> None:
        await in_thread(partial(self._upload, Path(path), local_path))

    async def intact(self, path: str, sha256: str) -> bool:
        return await in_thread(partial(_is_intact, Path(path), sha256))

    def _write(self, path: str, data: bytes, *, durable: bool) -> None:
        folder = os.path.dirname(path)  # noqa: PTH120  # a run writes hundreds of files a second: no Path objects here
        temporary = f"{folder}/{temporary_name()}"
        try:
            self._write_new_in(folder, temporary, data, durable=durable)
            os.replace(temporary, path)  # noqa: PTH105  # as above
        except BaseException:
            _delete(Path(temporary))
            raise
        if durable:
            self._settle(Path(folder))

    def _write_new_in(self, folder: str, temporary: str, data: bytes, *, durable: bool) -> None:
        try:
            _write_new(temporary, data, durable=durable)
        except FileNotFoundError:
            self._make(Path(folder))
            _write_new(temporary, data, durable=durable)

    def _settle_all(self, paths: Sequence[str]) -> None:
        for path in paths:
            _fsync(path, os.O_RDONLY)
        for folder in {Path(path).parent for path in paths}:
            self._settle(folder)

    def _create(self, path: Path, data: bytes) -> bool:
        with self._temporary(path.parent) as temporary:
            _write_new(str(temporary), data, durable=True)
            created = _link(temporary, path, data)
        self._settle(path.parent)
        return created

    def _upload(self, local_path: Path, path: Path) -> None:
        with self._temporary(path.parent) as temporary:
            shutil.copyfile(local_path, temporary)
            temporary.replace(path)

    @contextlib.contextmanager
    def _temporary(self, folder: Path) -> Iterator[Path]:
        """A temporary path in `folder`, which is made where it is missing; no file is left there."""
        if not folder.is_dir():
            self._make(folder)
        temporary = folder / temporary_name()
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _make(self, folder: Path) -> None:
        missing = [level for level in (folder, *folder.parents) if not level.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        self._settled.difference_update(missing)

    def _settle(self, folder: Path) -> None:
        """Makes what was moved into `folder` survive a power loss and, on first use, the folder itself."""
        _fsync_folder(folder)
        while folder not in self._settled:
            # A folder that may not be opened is none that we made another in.
            with contextlib.suppress(PermissionError):
                _fsync_folder(folder.parent)
            self._settled.add(folder)
            folder = folder.parent


def _write_new(path: str, data: bytes, *, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, NEW_FILE_MODE)
    try:
        rest = memoryview(data)
        while rest:  # one call writes at most 2 GiB
            rest = rest[os.write(descriptor, rest) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(temporary: Path, path: Path, data: bytes) -> bool:
    """Gives the temporary file its name unless that is taken: exclusive, and whole from the first moment."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return _open_new(path, data)
    return True


def _open_new(path: Path, data: bytes) -> bool:
    """Exclusive as well, but a reader may see the file while it is written."""
    try:
        _write_new(str(path), data, durable=True)
    except FileExistsError:
        return False
    return True


def _fsync_folder(folder: Path) -> None:
    _fsync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _fsync(path: str | Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sizes(folder: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    folders = [folder]
    while folders:
        with contextlib.suppress(FileNotFoundError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(entry.path)
                elif (size := _size(entry)) is not None:
                    sizes[entry.path] = size
    return sizes


def _size(entry: os.DirEntry[str]) -> int | None:
    """The size of a file; None where it was deleted meanwhile, or is no plain file."""
    try:
        found = entry.stat()
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_intact(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except (FileNotFoundError, NotADirectoryError):
        return False


def _delete(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.unlink()
