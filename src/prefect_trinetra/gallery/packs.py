"""Thumbnails, some dozens to a file: ten thousand images are neither ten thousand requests nor one giant file."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from prefect_trinetra.errors import StorageError
from prefect_trinetra.gallery.files import GalleryFiles
from prefect_trinetra.gallery.parts import part, part_value
from prefect_trinetra.storage import Storage
from prefect_trinetra.thumbnails import webp_thumbnail

__all__ = ["PACK_SIZE", "Picture", "Slot", "ThumbnailPacks", "Trouble"]

# A screen shows some thirty pictures: two files where they lie side by side, and thirty of 250 KB where a search
# scatters them.
PACK_SIZE: Final = 24
# Images held in memory at once, and fetched while others are decoded.
IMAGES_AT_ONCE: Final = 12
KEY_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of the dataset."""

    file_name: str
    sha256: str

    @property
    def key(self) -> str:
        return self.sha256[:KEY_DIGITS]


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a thumbnail is: the number of its pack, and its place there."""

    pack: int
    place: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an image has no thumbnail."""

    words: str


@dataclass
class ThumbnailPacks:
    """The packs of a gallery, during one writing."""

    storage: Storage
    files: GalleryFiles
    packs: dict[str, list[str]]
    troubles: dict[str, str]
    """By the file name of an image: why it can't be shown, and is not tried again."""
    made: int = 0
    waiting: int = 0
    """Thumbnails that are still to be made: time was up."""
    _open: dict[str, str] = field(default_factory=dict)
    """Thumbnails that are in no full pack yet, by key, in Base64."""
    _slots: dict[str, Slot] = field(default_factory=dict)

    async def fill(self, pictures: Iterator[Picture], seconds: float) -> None:
        """Makes what is missing, in order, for about so long at most; more is left to the next writing."""
        wanted = await asyncio.to_thread(lambda: list({picture.key: picture for picture in pictures}.values()))
        keys = {picture.key for picture in wanted}
        self.packs = {name: of for name, of in self.packs.items() if not keys.isdisjoint(of)}
        if self._missing(wanted):
            await self._reopen()
            await self._make_all(self._missing(wanted), time.monotonic() + seconds)
        while self._open:
            await self._close()
        self._slots = {
            key: Slot(number, place) for number, of in enumerate(self.packs.values()) for place, key in enumerate(of)
        }

    def slot(self, picture: Picture) -> Slot | Trouble | None:
        """Where its thumbnail is; None where it is still to be made."""
        if words := self.troubles.get(picture.file_name):
            return Trouble(words)
        return self._slots.get(picture.key)

    def _missing(self, wanted: list[Picture]) -> list[Picture]:
        there = {*self._open, *(key for of in self.packs.values() for key in of)}
        return [each for each in wanted if each.key not in there and each.file_name not in self.troubles]

    async def _reopen(self) -> None:
        """Takes packs that are not full apart, so that many small writings leave no crowd of small files."""
        for name in [name for name, of in self.packs.items() if len(of) < PACK_SIZE]:
            self.packs.pop(name)
            try:
                value = part_value(await self.files.folder.read(name))
                self._open.update(zip(value["of"], value["webp"], strict=True))
            except (FileNotFoundError, ValueError, TypeError, KeyError):  # gone, or cut off: they are made again
                continue

    async def _make_all(self, missing: list[Picture], until: float) -> None:
        decoding = asyncio.Semaphore(os.cpu_count() or 1)
        tasks: dict[asyncio.Task[str | None], Picture] = {}
        left = iter(missing)
        try:
            while True:
                while len(tasks) < IMAGES_AT_ONCE and time.monotonic() < until and (one := next(left, None)):
                    tasks[asyncio.ensure_future(self._make(one, decoding))] = one
                if not tasks:
                    break
                task = next(iter(tasks))  # the first of them, so that packs keep the images' order
                picture = tasks[task]
                if (thumbnail := await task) is not None:
                    self._open[picture.key] = thumbnail
                    self.made += 1
                del tasks[task]
                if len(self._open) >= PACK_SIZE:
                    await self._close()
        finally:
            for task in tasks:
                task.cancel()
        self.waiting = sum(1 for _ in left)

    async def _make(self, picture: Picture, decoding: asyncio.Semaphore) -> str | None:
        try:
            data = await self.storage.read(picture.file_name)
            async with decoding:
                small = await asyncio.to_thread(webp_thumbnail, data)
        except FileNotFoundError:
            self.troubles[picture.file_name] = "the file is missing"
        except (StorageError, ValueError) as error:
            self.troubles[picture.file_name] = f"the file can't be read: {error}"
        except OSError:
            self.troubles[picture.file_name] = "the file is damaged: it is no whole image"
        else:
            return base64.b64encode(small).decode()
        return None

    async def _close(self) -> None:
        """Stores a pack of what is open."""
        keys = list(self._open)[:PACK_SIZE]
        # With the keys, since images that differ may have thumbnails that don't, and the name tells the content.
        name = await self.files.add(part("thumbs", {"of": keys, "webp": [self._open.pop(key) for key in keys]}))
        self.packs[name] = keys
