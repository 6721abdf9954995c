"""Where a dataset lives: a URL and its options, checked, and the file system that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import fsspec

from prefect_trinetra.backends import Backend, backend, missing_package
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.links import Link, place_behind

__all__ = ["Address"]

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
    def backend(self) -> Backend:
        return backend(self.protocol)

    @property
    def is_local(self) -> bool:
        return self.backend.is_local

    @classmethod
    def parse(cls, url: str, options: Mapping[str, Any] | None = None) -> Address:
        """Raises ConfigurationError for an address that can't hold a dataset, and where its package is missing.

        Layers that keep copies are seen through: `url` is then that of the storage behind them.
        """
        if not url.strip():
            raise ConfigurationError(
                "the dataset's address is empty: give a folder or a URL such as s3://BUCKET/FOLDER"
            )
        place = place_behind(url, options, _shown(url))
        _refuse_unfit(place)
        shown, row = _shown(place.url), backend(place.protocol)
        link = place.native()
        kind = _filesystem_class(link.protocol, shown)
        root = str(kind._strip_protocol(link.url)).rstrip("/")  # noqa: SLF001  # fsspec's documented way to a bare path
        if row.needs_bucket and not root:
            raise ConfigurationError(f"{shown} names no bucket: write {place.protocol}://BUCKET/FOLDER")
        from_url = kind._get_kwargs_from_urls(link.url)  # noqa: SLF001  # host and user of sftp://user@host/folder
        chosen = {name: value for name, value in link.options.items() if name not in LOOP_OPTIONS}
        return cls(
            protocol=link.protocol,
            root=root,
            url=(root or "/") if row.is_local else shown.rstrip("/"),
            options=row.with_defaults({**from_url, **chosen}),
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


def _shown(url: str) -> str:
    return PASSWORD.sub(r"\1@", url)


def _refuse_unfit(place: Link) -> None:
    row, shown = backend(place.protocol), _shown(place.url)
    if row.is_read_only:
        raise ConfigurationError(f"{shown} can't be written to: give a folder or a URL such as s3://BUCKET/FOLDER")
    if "?" in place.path and not row.is_local:
        raise ConfigurationError(
            f"{shown.partition('?')[0]}: leave out what follows the ?, and put keys in the storage options"
        )
    before_host, separator, _ = place.path.partition("/")[0].rpartition("@")
    if separator and row.needs_bucket and (":" in before_host or not row.names_account):
        raise ConfigurationError(
            f"{place.protocol}://: keys don't belong into the address; put them in the storage options"
        )


def _filesystem_class(protocol: str, shown: str) -> type[fsspec.AbstractFileSystem]:
    try:
        kind: type[fsspec.AbstractFileSystem] = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise ConfigurationError(f"{shown}: {missing_package(protocol)}") from error
    except (ValueError, AttributeError) as error:  # the second for a kind that its package has given up
        raise ConfigurationError(f"{shown}: there is no kind of storage called {protocol}://") from error
    return kind
