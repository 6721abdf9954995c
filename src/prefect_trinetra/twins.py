"""Images of a dataset with equal bytes: a provider that draws never makes the same file twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Twins", "twin_suspects"]


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


def twin_suspects(images: pa.Table) -> pa.ChunkedArray:
    """The column `suspect` of stored images, with their twins in it. Only those that have one become objects."""
    digests = images["sha256"].combine_chunks().dictionary_encode()
    codes = np.asarray(pc.fill_null(digests.indices, len(digests.dictionary)), np.int64)
    counts = np.bincount(codes, minlength=len(digests.dictionary) + 1)
    counts[-1] = 0
    at = np.flatnonzero(counts[codes] > 1)
    if not len(at):
        return images["suspect"]
    some = images.select(["sha256", "file_name", "suspect"]).take(pa.array(at)).to_pylist()
    twins = Twins.of((each["sha256"], each["file_name"]) for each in some)
    suspects = images["suspect"].to_pylist()
    for place, each in zip(at.tolist(), some, strict=True):
        suspects[place] = twins.told(each["sha256"], each["file_name"], each["suspect"])
    return pa.chunked_array([suspects], pa.string())
