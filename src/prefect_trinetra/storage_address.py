"""Where a dataset lives: a URL and its options, checked, and the file system that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import fsspec

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.inputs import EXTRAS

__all__ = ["Address"]

LOCAL: Final = frozenset({"file", "local"})
BUCKETS: Final = frozenset({"s3", "s3a", "gs", "gcs"})
# What can be read through fsspec but holds no folders that could be written.
READ_ONLY: Final = frozenset({"http", "https", "data"})
# s3fs comes with ten: 64 connections write 400 objects/s at 50 ms each, where ten write 136.
MAX_POOL_CONNECTIONS: Final = 64
# Instances that are bound to somebody's event loop die with it; ours use fsspec's own loop.
LOOP_OPTIONS: Final = frozenset({"asynchronous", "loop"})
PASSWORD: Final = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


@dataclass(frozen=True, slots=True)
class Address:
    """A root folder: `root` as its file system writes it, `url` as a user may read it, without any password."""

    protocol: str
    root: str
    url: str
    options: Mapping[str, Any] = field(repr=False)

    @property
    def is_local(self) -> bool:
        return self.protocol in LOCAL

    @classmethod
    def parse(cls, url: str, options: Mapping[str, Any] | None = None) -> Address:
        """Raises ConfigurationError for an address that can't hold a dataset, and where its package is missing."""
        shown = PASSWORD.sub(r"\1@", url)
        protocol = _protocol(url, shown)
        kind = _filesystem_class(protocol, shown)
        root = str(kind._strip_protocol(url)).rstrip("/")  # noqa: SLF001  # fsspec's documented way to a bare path
        if protocol in BUCKETS and not root:
            raise ConfigurationError(f"{shown} names no bucket: write {protocol}://BUCKET/FOLDER")
        from_url = kind._get_kwargs_from_urls(url)  # noqa: SLF001  # host and user of sftp://user@host/folder
        return cls(
            protocol=protocol,
            root=root,
            url=(root or "/") if protocol in LOCAL else shown.rstrip("/"),
            options=_with_defaults(protocol, {**from_url, **(options or {})}),
        )

    def filesystem(self) -> fsspec.AbstractFileSystem:
        """This process's file system of that address. Raises ConfigurationError where its options are wrong."""
        try:
            return fsspec.filesystem(self.protocol, **self.options)
        except (TypeError, ValueError) as error:
            names = ", ".join(sorted(self.options)) or "none"
            raise ConfigurationError(
                f"{self.url}: {self.protocol}:// can't be opened with the storage options that were given ({names})"
            ) from error


def _protocol(url: str, shown: str) -> str:
    if not url.strip():
        raise ConfigurationError("the dataset's address is empty: give a folder or a URL such as s3://BUCKET/FOLDER")
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "file"
    if "::" in url or scheme in READ_ONLY:
        raise ConfigurationError(f"{shown} can't be written to: give a folder or a URL such as s3://BUCKET/FOLDER")
    if "?" in rest and scheme not in LOCAL:
        raise ConfigurationError(
            f"{shown.partition('?')[0]}: leave out what follows the ?, and put keys in the storage options"
        )
    if "@" in rest.partition("/")[0] and scheme in BUCKETS:
        raise ConfigurationError(f"{scheme}://: keys don't belong into the address; put them in the storage options")
    return scheme


def _filesystem_class(protocol: str, shown: str) -> type[fsspec.AbstractFileSystem]:
    try:
        kind: type[fsspec.AbstractFileSystem] = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise ConfigurationError(f"{shown}: {_install_sentence(protocol)}") from error
    except ValueError as error:
        raise ConfigurationError(f"{shown}: there is no kind of storage called {protocol}://") from error
    return kind


def _install_sentence(protocol: str) -> str:
    extra = EXTRAS.get(protocol)
    if extra is None:
        return f"the package that writes {protocol}:// is not installed; see fsspec's list of file systems"
    return f"what writes {protocol}:// is not installed: pip install 'prefect-trinetra[{extra}]'"


def _with_defaults(protocol: str, options: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {name: value for name, value in options.items() if name not in LOOP_OPTIONS}
    if protocol in {"s3", "s3a"}:
        own = chosen.get("config_kwargs") or {}
        if not isinstance(own, Mapping):
            raise ConfigurationError(
                "the storage option config_kwargs holds no names and values: write it as a mapping"
            )
        chosen["config_kwargs"] = {"max_pool_connections": MAX_POOL_CONNECTIONS, **own}
    if protocol in BUCKETS:
        chosen.setdefault("use_listings_cache", False)
    return chosen
