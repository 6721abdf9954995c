"""Images of a dataset with equal bytes: a provider that draws never makes the same file twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from prefect_trinetra.records import Record

__all__ = ["Twins"]


@dataclass(frozen=True)
class Twins:
    """The files of a dataset whose bytes another of its files has too, by their SHA-256, in the order of their names.

    Over everything recorded, whichever run or manifest it is of: a placeholder of last week gives away one of today.
    """

    files: dict[str, list[str]]

    @classmethod
    def of(cls, records: Iterable[Record]) -> Self:
        stored = [(record.sha256, record.file_name) for record in records if record.sha256 and record.file_name]
        counts = Counter(sha256 for sha256, _ in stored)
        files: dict[str, list[str]] = {}
        for sha256, file_name in stored:
            if counts[sha256] > 1:
                files.setdefault(sha256, []).append(file_name)
        return cls({sha256: sorted(names) for sha256, names in files.items()})

    def told(self, record: Record) -> Record:
        """The record of an image, its `suspect` naming a file with the same bytes if there is one."""
        names = self.files.get(record.sha256 or "")
        if names is None:
            return record
        other = names[1] if names[0] == record.file_name else names[0]
        more = f" and {len(names) - 2:,} more" if len(names) > 2 else ""  # noqa: PLR2004  # itself and the one named
        return replace(record, suspect="; ".join(filter(None, [record.suspect, f"same bytes as {other}{more}"])))
