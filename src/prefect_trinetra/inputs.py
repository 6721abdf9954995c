"""Reading what the user already has: files on any fsspec file system, named one by one or by a glob."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import fsspec
from fsspec.core import url_to_fs

from prefect_trinetra.backends import missing_package
from prefect_trinetra.errors import ConfigurationError, ManifestError, ManifestMissing
from prefect_trinetra.links import for_library, links

__all__ = ["expand_globs", "file_name", "is_folder", "is_there", "open_input", "shown_url"]

# One request to an object store brings this much: line by line a remote file gives 29 lines/s.
BLOCK_BYTES: Final = 4 * 2**20
# What is taken out of a block at a time: reading lines costs nothing then, and memory stays flat.
BUFFER_BYTES: Final = 2**20


class _InputFile(io.RawIOBase):
    """A file of any backend whose failures are all ManifestError: raw S3 errors are not even OSError."""

    def __init__(self, url: str, options: Mapping[str, Any] | None) -> None:
        super().__init__()
        self._url = url
        fs, path = _located(url, options)
        # an archive is closed as soon as nobody holds its file system
        self._fs = fs
        try:
            self._file = fs.open(path, "rb", block_size=BLOCK_BYTES)
        except (FileNotFoundError, IsADirectoryError) as error:
            raise _missing(fs, url, path) from error
        except Exception as error:
            raise _unreadable(url, error) from error
        # S3 opens a folder as an empty file
        if not getattr(self._file, "size", 1) and fs.isdir(path):
            self.close()
            raise _missing(fs, url, path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any, /) -> int:
        try:
            data = self._file.read(len(buffer))
        except Exception as error:
            raise _unreadable(self._url, error) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        # the constructor may have failed before there was a file
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()


def open_input(url: str, options: Mapping[str, Any] | None = None) -> io.BufferedReader:
    """The bytes of the file at `url`, to be closed by the caller (or used in `with`).

    Raises ManifestError, here or while it is read, where the file is missing or can't be read, and
    ConfigurationError where the backend's package is missing or its options are wrong.
    """
    return io.BufferedReader(_InputFile(url, options), BUFFER_BYTES)


def expand_globs(url: str, options: Mapping[str, Any] | None = None) -> list[str]:
    """The files that `url` names: itself, or what matches its `*`, `?`, `[...]`, sorted by name.

    Raises ManifestError where a glob matches nothing or its folder can't be listed.
    """
    if not _has_glob(url):
        return [url]
    fs, path = _located(url, options)
    try:
        if fs.exists(path):
            return [url]
        fs.invalidate_cache()
        found = sorted(name for name, info in fs.glob(path, detail=True).items() if info["type"] == "file")
    except Exception as error:
        raise _unreadable(url, error) from error
    if not found:
        raise ManifestMissing(f"no file matches {shown_url(url)}: check the path and the pattern")
    return [_full_url(fs, url, path, name) for name in found]


def is_there(url: str, options: Mapping[str, Any] | None = None) -> bool:
    """Whether the file, or a file that matches the glob, exists now. Raises ManifestError where that can't be said."""
    _located(url, options)[0].invalidate_cache()
    try:
        for found in expand_globs(url, options):
            open_input(found, options).close()
    except ManifestMissing:
        return False
    return True


def is_folder(url: str, options: Mapping[str, Any] | None = None) -> bool:
    """Whether `url` names a folder."""
    fs, path = _located(url, options)
    try:
        return bool(fs.isdir(path))
    except Exception as error:
        raise _unreadable(url, error) from error


def shown_url(url: str) -> str:
    """`url` as messages show it: without user name, password and query, which may hold secrets."""
    return "::".join(_shown_link(link) for link in url.split("::"))


def file_name(url: str) -> str:
    """The lower-case path of the file itself, whose ending says what it is, without what it lies in or behind."""
    named = next((link.url for link in links(url) if link.url.removesuffix("://") != link.protocol), url)
    return shown_url(named).lower()


def _shown_link(link: str) -> str:
    if "://" not in link:
        return link
    parts = urlsplit(link)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _located(url: str, options: Mapping[str, Any] | None) -> tuple[fsspec.AbstractFileSystem, str]:
    chained, chosen = for_library(url, options)
    try:
        fs, path = url_to_fs(chained, **chosen)
    except ImportError as error:
        raise ConfigurationError(f"{shown_url(url)}: {_missing_package(url, error)}") from error
    except Exception as error:
        raise ConfigurationError(
            f"{shown_url(url)}: there is no way to open it ({_reason(url, error)}); "
            "check the address and the storage options"
        ) from error
    return fs, str(path)


def _missing_package(url: str, error: ImportError) -> str:
    """Of a chain's links the one whose package is missing."""
    for link in links(url):
        try:
            fsspec.get_filesystem_class(link.native().protocol)
        except ImportError:
            return missing_package(link.protocol)
        except (ConfigurationError, ValueError):
            continue
    return f"a package is missing ({error})"


def _has_glob(url: str) -> bool:
    # the ? of a web address begins its query
    return not url.startswith(("http://", "https://")) and bool(re.search(r"[*?\[]", url))


def _full_url(fs: fsspec.AbstractFileSystem, url: str, path: str, name: str) -> str:
    """The address of the file `name`, which `url`, whose path is `path`, stands for."""
    words = url.split("::")
    if words == [url] and "://" not in url:
        return name
    for place, word in enumerate(words):
        if path and word.endswith(path):
            return "::".join([*words[:place], word.removesuffix(path) + name, *words[place + 1 :]])
    return "::".join([str(fs.unstrip_protocol(name)), *words[1:]])


def _missing(fs: fsspec.AbstractFileSystem, url: str, path: str) -> ManifestError:
    if fs.isdir(path):
        name = shown_url(url).rstrip("/")
        return ManifestError(f"{name} is a folder: name its files with a glob, such as {name}/*.csv")
    return ManifestMissing(f"{shown_url(url)} does not exist: check the path")


def _unreadable(url: str, error: Exception) -> ManifestError:
    return ManifestError(f"{shown_url(url)} can't be read: {_reason(url, error)}")


def _reason(url: str, error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).replace(url, shown_url(url)).splitlines()[0]
