"""Where a dataset or a manifest lies: an address and options, or a Prefect block that knows both.

Prefect is imported only where a block is named: it costs seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prefect_trinetra.dated_names import is_dated
from prefect_trinetra.errors import ConfigurationError

__all__ = ["Place", "place"]


@dataclass(frozen=True)
class Place:
    """An fsspec address; the options may hold secrets, so they are not shown."""

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)


def place(url: str, block: str | None, options: Mapping[str, Any]) -> Place:
    """Where `url` lies: in the storage block of that name, if one is named. Raises ConfigurationError."""
    if is_dated(url):
        raise ConfigurationError(f"{url}: only flow runs have a scheduled start; write the date itself, as $(date +%F)")
    if block is None:
        return Place(url, options)
    if options:
        raise ConfigurationError(f"a storage block ({block}) and storage options are both given: give the one to use")
    from prefect_trinetra.cli.stored_blocks import resolve_stored

    return Place(*resolve_stored(block, url))
