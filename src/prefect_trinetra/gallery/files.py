"""A gallery's folder in the dataset: what is there, what is added, what may go."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from prefect_trinetra.gallery.parts import Part
from prefect_trinetra.storage import Storage

__all__ = ["GALLERY_FOLDER", "PAGE", "GalleryFiles", "GalleryState"]

GALLERY_FOLDER: Final = "gallery"
PAGE: Final = "index.html"
STATE: Final = "state.json"
STATE_VERSION: Final = 1
CALLS_AT_ONCE: Final = 16


@dataclass
class GalleryState:
    """What one writing leaves to the next: which pack holds which thumbnails, and which parts its page uses.

    A thumbnail is known by the SHA-256 of its image.
    """

    packs: dict[str, list[str]] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)

    def to_json(self) -> bytes:
        return orjson.dumps({"version": STATE_VERSION, "packs": self.packs, "parts": self.parts})

    @classmethod
    def from_json(cls, data: bytes) -> GalleryState:
        """An empty one where it can't be understood: then all is made anew."""
        try:
            fields: dict[str, Any] = orjson.loads(data)
            return cls(fields["packs"], fields["parts"]) if fields["version"] == STATE_VERSION else cls()
        except (orjson.JSONDecodeError, TypeError, KeyError):
            return cls()


class GalleryFiles:
    """The folder during one writing."""

    def __init__(self, dataset: Storage) -> None:
        self.folder = dataset.child(GALLERY_FOLDER)
        self._there: set[str] = set()
        self._found: set[str] = set()

    async def look(self) -> GalleryState:
        """What the last writing left; packs of which the file is gone are left out."""
        self._there = set(await self.folder.list())
        self._found = set(self._there)
        try:
            state = GalleryState.from_json(await self.folder.read(STATE))
        except FileNotFoundError:
            return GalleryState()
        return GalleryState({name: of for name, of in state.packs.items() if name in self._there}, state.parts)

    async def add(self, new: Part) -> str:
        """Writes a part unless it is there; its name."""
        name, data = new
        if name not in self._there:
            await self._write(name, data)
            self._there.add(name)
        return name

    async def replace(self, name: str, data: bytes) -> None:
        """Writes one of the few files that have the same name each time."""
        await self._write(name, data)

    async def remember(self, state: GalleryState) -> None:
        """Leaves it to the next writing."""
        await self.folder.write(STATE, state.to_json())

    async def sweep(self, *kept: Collection[str]) -> None:
        """Deletes the parts that were there at the look and are in none of these: nobody's page uses them."""
        gone = [name for name in self._found if "/" in name and not any(name in names for names in kept)]
        gate = asyncio.Semaphore(CALLS_AT_ONCE)

        async def delete(name: str) -> None:
            async with gate:
                await self.folder.delete(name)

        await asyncio.gather(*map(delete, gone))

    async def _write(self, name: str, data: bytes) -> None:
        if self.folder.is_local:
            await self.folder.write(name, data)
            return
        # A store that is told a file's name stores its type too: without it a browser saves the page, not shows it.
        with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
            local = Path(folder) / name.rpartition("/")[2]
            await asyncio.to_thread(local.write_bytes, data)
            await self.folder.upload(local, name)
