"""Where a dataset can be while tests run: a store, and folders in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server_process import ServerProcess


@dataclass(frozen=True)
class Place:
    """A folder in a store: its address, and the options that open it."""

    url: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> list[str]:
        """The options as flags of the command line."""
        pairs = (f"{name}={json.dumps(value)}" for name, value in self.options.items())
        return [word for pair in pairs for word in ("--storage-option", pair)]


@dataclass(frozen=True)
class Store:
    """One kind of storage while it runs. `has_lease`: it tells two runs apart."""

    name: str
    new_place: Callable[[], Place]
    has_lease: bool
    server: ServerProcess | None = None
    folder: Path | None = None
    """Where the server keeps its files, if it serves those of a plain folder."""
