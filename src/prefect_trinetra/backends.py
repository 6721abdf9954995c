"""The kinds of storage: for each, what fsspec does not promise, and how that is met. A new kind is a new row.

What every dataset rests on, and where it comes from:

- A name shows its file whole or not at all. Object stores do that; elsewhere a file is written under a temporary name
  and renamed (`shows_halves`, `rename`).
- Of two that create one name, one alone wins. Local disks say so; object stores are tried out before it is relied upon,
  since servers of one kind differ; elsewhere nothing keeps two runs apart (`exclusive`).
- A write replaces what was there; a lost connection is made anew; options are understood as they come from JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

import fsspec

from prefect_trinetra.errors import ConfigurationError

__all__ = ["BACKENDS", "CACHES", "FOLDER_LAYER", "Backend", "Exclusive", "Options", "backend", "missing_package"]

# s3fs comes with ten: 64 connections write 400 objects/s at 50 ms each, where ten write 136.
MAX_POOL_CONNECTIONS: Final = 64
# A server that says nothing for so long is taken for gone. A call that blocks can't be given up: its process ends only
# after it. (webdav4 comes with 5 s, which a busy server needs for one large picture; asyncssh waits for ever.)
SILENCE_SECONDS: Final = 30.0
# Questions after silence, of which asyncssh lets three pass.
KEEPALIVE_SECONDS: Final = SILENCE_SECONDS / 3
# Layers of fsspec that keep copies: what is behind them is used, since a copy may be old.
CACHES: Final = frozenset({"simplecache", "filecache", "blockcache", "cached"})
# fsspec's layer for a folder of another storage.
FOLDER_LAYER: Final = "dir"


class Exclusive(Enum):
    """What is known of exclusive create before anything is tried."""

    TRUSTED = "trusted"
    PROBED = "probed"
    ABSENT = "absent"


Options = dict[str, Any]
Rename = Callable[[fsspec.AbstractFileSystem, str, str], object]
Put = Callable[[fsspec.AbstractFileSystem, str, BinaryIO], object]


def _as_they_are(link: str, options: Options) -> tuple[str, Options]:
    return link, options


@dataclass(frozen=True, slots=True)
class Backend:
    """One kind of storage. What a row leaves out is what nothing better is known of."""

    title: str = "another kind"
    protocols: tuple[str, ...] = ()
    extra: str | None = None
    """The extra of this package that installs it."""
    is_local: bool = False
    shows_halves: bool = True
    """Whether a reader may see a file before all of it is there."""
    rename: Rename | None = None
    """How a file gets its name in one step and replaces what has it, where fsspec's own `mv` is another thing."""
    put: Put | None = None
    """How a file is written in a folder that is there, where fsspec's own way does more than that."""
    exclusive: Exclusive = Exclusive.ABSENT
    looks_before_creating: bool = False
    """Whether the library's own exclusive create only looks, then writes: here one creates at a time."""
    needs_bucket: bool = False
    has_account_options: bool = False
    """Whether options are an account's, good for each of its buckets; else they belong to the host in the address."""
    names_account: bool = False
    """Whether an address may say bucket@account."""
    is_read_only: bool = False
    has_one_connection: bool = False
    """Whether a file system is one connection, which never comes back by itself once it is lost."""
    replacing: Mapping[str, Any] = field(default_factory=dict)
    """Options that make an upload replace a file."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Options where the user has none; a mapping in it is joined with the user's, whose words win."""
    native: Callable[[str, Options], tuple[str, Options]] = _as_they_are
    """Address and options as the library wants them, of those that a user writes."""

    def with_defaults(self, options: Mapping[str, Any]) -> Options:
        """The options of a dataset's file system. Raises ConfigurationError for one of the wrong shape."""
        chosen = {**self.defaults, **options}
        for name, own in self.defaults.items():
            if isinstance(own, Mapping):
                given = options.get(name) or {}
                if not isinstance(given, Mapping):
                    raise ConfigurationError(
                        f"the storage option {name} holds no names and values: write it as a mapping"
                    )
                chosen[name] = {**own, **given}
        return chosen


def _webdav(link: str, options: Options) -> tuple[str, Options]:
    """webdav4 wants a base URL and bare paths, and of `auth` a pair, which JSON has only as a list."""
    if isinstance(options.get("auth"), list):
        options = options | {"auth": tuple(options["auth"])}
    if "base_url" in options:
        return link, options
    parts = urlsplit(link)
    kind = "https" if parts.scheme.endswith("s") else "http"
    host = parts.netloc.rpartition("@")[2]
    if not host:
        raise ConfigurationError(f"{parts.scheme}:// names no host: write {parts.scheme}://HOST:PORT/FOLDER")
    if parts.username is not None:
        options = {"auth": (parts.username, parts.password or "")} | options
    # Not taken apart by urlsplit: a file name may hold ? and #.
    path = link.partition("://")[2].partition("/")[2]
    return f"webdav://{path}", options | {"base_url": f"{kind}://{host}"}


def _move_over(fs: fsspec.AbstractFileSystem, source: str, target: str) -> object:
    """WebDAV's MOVE. webdav4's `mv` copies and deletes."""
    return fs.client.move(source, target, overwrite=True)


def _put(fs: fsspec.AbstractFileSystem, target: str, file: BinaryIO) -> object:
    """WebDAV's PUT. webdav4's own makes all folders first, each time: two at once find them locked."""
    return fs.client.upload_fileobj(file, target, overwrite=True)


BACKENDS: Final = (
    Backend(
        title="Local disk",
        protocols=("file", "local"),
        is_local=True,
        # By a hard link or O_EXCL. fsspec's local mode="create" looks first: two processes both win.
        exclusive=Exclusive.TRUSTED,
    ),
    Backend(
        title="Memory",
        protocols=("memory",),
        shows_halves=False,
        exclusive=Exclusive.PROBED,
        looks_before_creating=True,
    ),
    Backend(
        title="S3",
        protocols=("s3", "s3a"),
        extra="s3",
        shows_halves=False,
        exclusive=Exclusive.PROBED,
        needs_bucket=True,
        has_account_options=True,
        defaults={"config_kwargs": {"max_pool_connections": MAX_POOL_CONNECTIONS}, "use_listings_cache": False},
    ),
    Backend(
        title="Google Cloud Storage",
        protocols=("gs", "gcs"),
        extra="gcs",
        shows_halves=False,
        exclusive=Exclusive.PROBED,
        needs_bucket=True,
        has_account_options=True,
        defaults={"use_listings_cache": False},
    ),
    Backend(
        title="Azure Blob",
        protocols=("abfs", "abfss", "az"),
        extra="azure",
        shows_halves=False,
        exclusive=Exclusive.PROBED,
        needs_bucket=True,
        has_account_options=True,
        names_account=True,
        replacing={"overwrite": True},
        defaults={"use_listings_cache": False},
    ),
    Backend(
        title="SFTP",
        protocols=("sftp", "ssh"),
        extra="sftp",
        has_one_connection=True,
        defaults={
            "connect_timeout": SILENCE_SECONDS,
            "login_timeout": SILENCE_SECONDS,
            "keepalive_interval": KEEPALIVE_SECONDS,
        },
    ),
    Backend(
        title="WebDAV",
        protocols=("webdav", "webdavs", "dav", "davs"),
        extra="webdav",
        rename=_move_over,
        put=_put,
        defaults={"timeout": SILENCE_SECONDS},
        native=_webdav,
    ),
    Backend(title="Web", protocols=("http", "https", "data"), is_read_only=True),
    Backend(title="Archive", protocols=("zip", "tar", "libarchive", "reference"), is_read_only=True),
)
OTHER: Final = Backend()
_OF_PROTOCOL: Final = {protocol: row for row in BACKENDS for protocol in row.protocols}


def backend(protocol: str) -> Backend:
    """What is known of a kind of storage; of one that is not listed, nothing but the worst."""
    return _OF_PROTOCOL.get(protocol, OTHER)


def missing_package(protocol: str) -> str:
    """What to install where the package that opens `protocol` is missing."""
    extra = backend(protocol).extra
    if extra is None:
        return f"the package that opens {protocol}:// is not installed; see fsspec's list of file systems"
    return f"what opens {protocol}:// is not installed: pip install 'prefect-trinetra[{extra}]'"
