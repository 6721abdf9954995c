"""Pictures on demand: drawn at the first download, kept while they fit, the same for the same job and index."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from io import BytesIO
from typing import Final

from PIL import Image

from prefect_trinetra.sandbox.config import PictureStyle, SandboxConfig
from prefect_trinetra.sandbox.encoding import STAMP_PLACE, Label, encode, stamp
from prefect_trinetra.sandbox.faults import chance
from prefect_trinetra.sandbox.jobs import Job
from prefect_trinetra.sandbox.order import Order
from prefect_trinetra.sandbox.painting import Subject, paint, retouch

__all__ = ["Studio"]

CACHE_BYTES: Final = 64 * 1024 * 1024
STOCK_TITLE: Final = "A picture from stock"
PLACEHOLDER_GREY: Final = (204, 204, 204)
# No side is shorter, however long the picture: some decoders and most eyes give up below.
SHORTEST_SIDE: Final = 16


@dataclass(frozen=True)
class _Sheet:
    """What a picture is drawn on and saved as; equal sheets can share a stock picture."""

    size: tuple[int, int]
    output_format: str
    compression: int | None
    transparent: bool

    def draw(self, subject: Subject, label: Label, source: bytes | None) -> bytes:
        """The file of a subject, or of an edit of the source."""
        if source is None:
            image = paint(subject, self.size, transparent=self.transparent)
        else:
            with Image.open(BytesIO(source)) as original:
                image = retouch(original, subject, self.size, transparent=self.transparent)
        return encode(image, self.output_format, self.compression, label)


class Studio:
    """Makes the pictures of one sandbox. Drawing happens in a thread, one picture at a time."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._cached_bytes = 0
        self._drawing = asyncio.Lock()

    async def picture(self, job: Job, index: int, output_format: str) -> bytes:
        """The file of a job's output, in the format given."""
        identity = sha256(f"{self._config.seed} {job.id} {index}".encode()).hexdigest()
        if self._config.pictures is PictureStyle.STAMPED and job.source is None:
            return stamp(self._stock(job.order, output_format), identity)
        name = f"{identity} {output_format}"
        if name in self._cache:
            return self._kept(name, lambda: b"")
        async with self._drawing:
            if name in self._cache:  # drawn for another download while this one waited
                return self._kept(name, lambda: b"")
            sheet = self._sheet(job.order, output_format)
            label = Label(job.order.prompt, identity)
            content = await asyncio.to_thread(sheet.draw, _subject(job, index), label, job.source)
        return self._kept(name, lambda: content)

    def flat(self, order: Order, index: int) -> bytes:
        """A picture of one colour, of the right size and format; the colour goes by the order."""
        shade = int(chance("flat", order.digest, index) * 256)
        size = picture_size(order.ratio, self._config.pixels)
        image = Image.new("RGB", size, (shade, 255 - shade, 128))
        return encode(image, order.output_format, None, Label("", ""))

    def placeholder(self, output_format: str) -> bytes:
        """The picture that stands for one that could not be made: the same for every job."""
        size = (self._config.pixels, self._config.pixels)
        image = Image.new("RGB", size, PLACEHOLDER_GREY)
        half = (size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4)
        image.paste((170, 170, 170), half)
        return encode(image, output_format, None, Label("", ""))

    def _stock(self, order: Order, output_format: str) -> bytes:
        """The one picture that all stamped ones of this shape share."""
        sheet = self._sheet(order, output_format)
        subject, label = Subject("stock", STOCK_TITLE, ""), Label(STOCK_TITLE, STAMP_PLACE)
        return self._kept(f"stock {sheet}", partial(sheet.draw, subject, label, None))

    def _sheet(self, order: Order, output_format: str) -> _Sheet:
        transparent = order.background == "transparent" and output_format != "jpeg"
        size = picture_size(order.ratio, self._config.pixels)
        return _Sheet(size, output_format, order.output_compression, transparent)

    def _kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        content = self._cache.get(name)
        if content is not None:
            self._cache.move_to_end(name)
            return content
        content = self._cache[name] = make()
        self._cached_bytes += len(content)
        while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
            self._cached_bytes -= len(self._cache.popitem(last=False)[1])
        return content


def picture_size(ratio: tuple[float, float], pixels: int) -> tuple[int, int]:
    """Width and height in that ratio, the longer side `pixels` long."""
    scale = pixels / max(ratio)
    width, height = (max(SHORTEST_SIDE, round(side * scale)) for side in ratio)
    return width, height


def _subject(job: Job, index: int) -> Subject:
    order = job.order
    note = f"gpt-image-2 sandbox  ·  {order.quality}  ·  {index + 1} of {max(order.n, index + 1)}"
    return Subject(f"{order.digest} {job.number} {index}", order.prompt, note)
