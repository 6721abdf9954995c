"""Images that look like an earlier one of their dataset, found one by one in the dataset's order. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from prefect_trinetra.records import Record

__all__ = ["MOST_BITS", "NearDuplicates"]

# Between the hashes of two pictures that count as the same: docs/dataset.md has what is found with it, and what is not.
MOST_BITS: Final = 3
# Of the 64 bits, as many parts as make sure that two hashes within MOST_BITS agree in one of them.
BANDS: Final = MOST_BITS + 1
# Neighbouring frequencies are high or low together: every fourth bit is a better part than sixteen in a row.
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

    def earlier(self, record: Record) -> str | None:
        """The file name of the image that this one nearly equals; None where it is the first of its kind."""
        name = record.file_name or ""
        if record.sha256:
            same = self._by_bytes.setdefault(record.sha256, name)
            if same != name:
                return same
        if record.perceptual_hash is None:
            return None
        found = self._like(int(record.perceptual_hash, 16), name)
        if found is not None and record.sha256:
            self._by_bytes[record.sha256] = found
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
