"""Images that look like an earlier one of their dataset, found one by one in the dataset's order. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prefect_trinetra.settled import rows_at
from prefect_trinetra.twins import each_value, may_be_there_twice

__all__ = ["MOST_BITS", "NearDuplicates", "near_duplicates"]

# Between the hashes of two pictures that count as the same: docs/dataset.md has what is found with it, and what is not.
MOST_BITS: Final = 3
# Of the 64 bits, as many parts as make sure that two hashes within MOST_BITS agree in one of them.
BANDS: Final = MOST_BITS + 1
# Neighbouring frequencies are high or low together: every fourth bit is a better part than sixteen in a row.
# Images of a part's most frequent values are not compared pair by pair: they are all looked at one by one.
MOST_ALIKE: Final = 512
MASKS: Final = [sum(1 << bit for bit in range(band, 64, BANDS)) for band in range(BANDS)]


@dataclass
class NearDuplicates:
    """Compares each image with those before it that look like none before them.

    So a chain of small steps does not make one of pictures that differ: every near-duplicate is like the one it names.
    Images without a hash (plain ones, those of early versions) are compared by their bytes alone.
    """

    _names: dict[int, str] = field(default_factory=dict)
    _by_bytes: dict[str, str] = field(default_factory=dict)
    _bands: list[dict[int, list[int]]] = field(default_factory=lambda: [{} for _ in MASKS])

    def earlier(self, name: str, sha256: str | None, perceptual_hash: str | None) -> str | None:
        """The file name of the image that this one nearly equals; None where it is the first of its kind."""
        if sha256:
            same = self._by_bytes.setdefault(sha256, name)
            if same != name:
                return same
        if perceptual_hash is None:
            return None
        found = self._like(int(perceptual_hash, 16), name)
        if found is not None and sha256:
            self._by_bytes[sha256] = found
        return found

    def _like(self, bits: int, name: str) -> str | None:
        if bits in self._names:
            return self._names[bits]
        for other in self._candidates(bits):
            if (bits ^ other).bit_count() <= MOST_BITS:
                self._names[bits] = self._names[other]
                return self._names[other]
        self._names[bits] = name
        for mask, band in zip(MASKS, self._bands, strict=True):
            band.setdefault(bits & mask, []).append(bits)
        return None

    def _candidates(self, bits: int) -> Iterator[int]:
        for mask, band in zip(MASKS, self._bands, strict=True):
            yield from band.get(bits & mask, ())


def near_duplicates(images: pa.Table, order: npt.NDArray[np.int64]) -> pa.Array:
    """Of each image (`file_name`, `sha256`, `perceptual_hash`) the earlier one that it nearly equals, in that order.

    `order` are places in `images`. Images like no other, which most are, are found by columns; only the rest is gone
    through.
    """
    may_be = may_be_there_twice(images["sha256"]) | _may_be_near(images["perceptual_hash"])
    at = np.flatnonzero(may_be[order])
    found = np.full(len(order), None, object)
    some = rows_at(images.select(["file_name", "sha256", "perceptual_hash"]), order[at])
    columns = (column.to_pylist() for column in some.columns)
    near = NearDuplicates()
    for place, values in zip(at.tolist(), zip(*columns, strict=True), strict=True):
        found[place] = near.earlier(*values)
    return pa.array(found, pa.string())


def _may_be_near(hashes: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """At least those that are within MOST_BITS of another; few others."""
    is_near = np.zeros(len(hashes), np.bool_)
    at = np.flatnonzero(np.asarray(pc.is_valid(hashes), np.bool_))
    bits = np.fromiter((int(each, 16) for each in each_value(hashes) if each is not None), np.uint64, len(at))
    for mask in MASKS:
        part = bits & np.uint64(mask)
        order = np.argsort(part)
        ordered, part = bits[order], part[order]
        first = np.arange(len(order))
        for step in range(1, MOST_ALIKE + 1):
            first = first[first + step < len(order)]
            first = first[part[first] == part[first + step]]
            if not len(first):
                break
            close = first if step == MOST_ALIKE else first[_distance(ordered, first, step) <= MOST_BITS]
            is_near[at[order[close]]] = True
            is_near[at[order[close + step]]] = True
    return is_near


def _distance(bits: npt.NDArray[np.uint64], first: npt.NDArray[np.int64], step: int) -> npt.NDArray[np.uint8]:
    distance: npt.NDArray[np.uint8] = np.bitwise_count(bits[first] ^ bits[first + step])
    return distance
