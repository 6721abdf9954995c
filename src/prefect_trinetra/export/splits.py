"""Which split an image belongs to: told by a column, or by a stable hash of its key. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from prefect_trinetra.errors import ConfigurationError

__all__ = ["DEFAULT_SPLIT", "Splits", "split_name"]

DEFAULT_SPLIT: Final = "train"
# What the datasets library takes as the name of a split.
SPLIT_NAME: Final = re.compile(r"\w+(?:\.\w+)*", re.ASCII)
NOT_IN_A_NAME: Final = re.compile(r"\W+", re.ASCII)
HASH_BYTES: Final = 8
SUM_TOLERANCE: Final = 1e-9


@dataclass(frozen=True)
class Splits:
    """How images are shared out: by the values of `column`; else by `shares`, each a part of 1, in that order.

    With shares, a hash of the text in the column `of` decides, so that a row stays in its split when others come or go,
    and all that has one text goes to one split: the key (images of one request), or the prompt (its samples, too).
    Raises ConfigurationError for names and shares that can't be.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    column: str | None = None
    of: str = "key"

    def __post_init__(self) -> None:
        if self.shares and self.column is not None:
            raise ConfigurationError("splits are asked for both by shares and by a column: give one of them")
        for name, share in self.shares.items():
            if not SPLIT_NAME.fullmatch(name):
                raise ConfigurationError(f"{name!r} can't be the name of a split: use letters, digits and _")
            if not 0 < share <= 1:
                raise ConfigurationError(f"the split {name} has the share {share:g}: give more than 0, at most 1")
        if self.shares and abs(sum(self.shares.values()) - 1) > SUM_TOLERANCE:
            raise ConfigurationError(
                f"the shares of the splits add up to {sum(self.shares.values()):g}: make them add up to 1"
            )

    @property
    def source(self) -> str | None:
        """The column that decides; None where all images go to one split."""
        return self.column if self.column is not None else (self.of if self.shares else None)

    def of_values(self, values: Iterable[object]) -> list[str]:
        """The split of each row, given its value in the column `source`. Raises ConfigurationError for a null."""
        if self.column is not None:
            return [split_name(value, self.column) for value in values]
        names, ends = list(self.shares), list(accumulate(self.shares.values()))
        return [_at(_point(str(value)), names, ends) for value in values]


def split_name(value: object, column: str) -> str:
    """A column's value as the name of a split. Raises ConfigurationError where nothing is left of it."""
    name = NOT_IN_A_NAME.sub("_", str(value if value is not None else "")).strip("_")
    if not name:
        raise ConfigurationError(
            f"the column {column} has a row whose value ({value!r}) gives no name for a split: fill it in the "
            "manifest, or leave such rows out with where"
        )
    return name


def _point(text: str) -> float:
    """Where a text falls between 0 and 1: the same for ever."""
    digest = hashlib.sha256(f"split-v1\0{text}".encode()).digest()
    return int.from_bytes(digest[:HASH_BYTES], "big") / 2.0 ** (8 * HASH_BYTES)


def _at(point: float, names: Sequence[str], ends: Sequence[float]) -> str:
    return next((name for name, end in zip(names, ends, strict=True) if point < end), names[-1])
