"""Images of a dataset with equal bytes: a provider that draws never makes the same file twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prefect_trinetra.settled import rows_at

__all__ = ["Twins", "each_value", "may_be_there_twice", "twin_suspects"]

VALUES_AT_ONCE: Final = 10_000


@dataclass(frozen=True)
class Twins:
    """The files of a dataset whose bytes another of its files has too, by their SHA-256, in the order of their names.

    Over everything recorded, whichever run or manifest it is of: a placeholder of last week gives away one of today.
    """

    files: dict[str, list[str]]

    @classmethod
    def of(cls, stored: Iterable[tuple[str, str]]) -> Self:
        """From the SHA-256 and the name of each file."""
        files: dict[str, list[str]] = {}
        for sha256, file_name in stored:
            files.setdefault(sha256, []).append(file_name)
        return cls({sha256: sorted(names) for sha256, names in files.items() if len(names) > 1})

    def told(self, sha256: str | None, file_name: str | None, suspect: str | None) -> str | None:
        """What is suspect about an image, a file with the same bytes named in it if there is one."""
        names = self.files.get(sha256 or "")
        if names is None or file_name is None:
            return suspect
        other = names[1] if names[0] == file_name else names[0]
        more = f" and {len(names) - 2:,} more" if len(names) > 2 else ""  # noqa: PLR2004  # itself and the one named
        return "; ".join(filter(None, [suspect, f"same bytes as {other}{more}"]))


def twin_suspects(images: pa.Table, order: npt.NDArray[np.int64]) -> pa.ChunkedArray:
    """The column `suspect` of images, with their twins in it; `order` are the rows that count.

    Only those that have a twin become objects.
    """
    counts = np.zeros(images.num_rows, np.bool_)
    counts[order] = True
    at = np.flatnonzero(may_be_there_twice(images["sha256"]) & counts)
    if not len(at):
        return images["suspect"]
    some = rows_at(images.select(["sha256", "file_name", "suspect"]), at).to_pylist()
    twins = Twins.of((each["sha256"], each["file_name"]) for each in some)
    suspects = images["suspect"].to_pylist()
    for place, each in zip(at.tolist(), some, strict=True):
        suspects[place] = twins.told(each["sha256"], each["file_name"], each["suspect"])
    return pa.chunked_array([suspects], pa.string())


def may_be_there_twice(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Which texts another row has too: all that do, and hardly any that don't, told by their hashes."""
    hashes = np.fromiter(map(hash, each_value(column)), np.int64, len(column))
    order = np.argsort(hashes)
    is_same = hashes[order[1:]] == hashes[order[:-1]]
    is_twice = np.zeros(len(column), np.bool_)
    is_twice[order[1:][is_same]] = True
    is_twice[order[:-1][is_same]] = True
    return is_twice & np.asarray(pc.is_valid(column), np.bool_)


def each_value(column: pa.ChunkedArray) -> Iterator[Any]:
    """The values of a column, never all of them objects at once."""
    for chunk in column.chunks:
        for start in range(0, len(chunk), VALUES_AT_ONCE):
            yield from chunk.slice(start, VALUES_AT_ONCE).to_pylist()
