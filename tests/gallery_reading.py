"""A gallery read back from its files, as the page reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from prefect_trinetra.gallery.parts import part_value
from prefect_trinetra.gallery.writing import GalleryReport, write_gallery
from prefect_trinetra.loop import io_loop
from prefect_trinetra.storage import Storage

__all__ = ["GalleryOf", "written"]

HEADER = re.compile(rb'<script type="application/json" id="header">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class GalleryOf:
    """The gallery of a local dataset."""

    dataset: Path

    @property
    def page(self) -> bytes:
        return (self.dataset / "gallery" / "index.html").read_bytes()

    @property
    def header(self) -> dict[str, Any]:
        found = HEADER.search(self.page)
        assert found
        header: dict[str, Any] = orjson.loads(found[1])
        return header

    def parts(self, kind: str) -> list[Any]:
        """Every part of a kind that the page uses, in order."""
        return [part_value((self.dataset / "gallery" / name).read_bytes()) for name in self.header["parts"][kind]]

    def column(self, name: str) -> list[Any]:
        """A column of all items."""
        return [value for part in self.parts("rows") for value in part[name]]

    def records(self) -> list[dict[str, Any]]:
        """All of each item's record."""
        return [
            dict(zip(part["names"], values, strict=True)) for part in self.parts("records") for values in part["rows"]
        ]

    def files(self) -> dict[str, bytes]:
        """Everything in the gallery's folder."""
        folder = self.dataset / "gallery"
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def written(dataset: Path) -> GalleryReport:
    """The report of a writing."""
    return io_loop().run(write_gallery(Storage.open(str(dataset))))
