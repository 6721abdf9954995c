"""The steps of a run's paid work, a mine that lies at one of them, and the weather over its storage."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatch
from typing import Any, Final

import orjson

ERRORS: Final = (errno.EIO, errno.ENOSPC, errno.ESTALE)


class Place(Enum):
    """What a run is doing."""

    LEASE = "lease (taken or renewed)"
    IDENTITY = "identity (dataset.json)"
    PLAN = "plan"
    SHARD = "shard file"
    INTENT = "journal: intent"
    ANSWER = "journal: answer"
    END = "journal: end of a job"
    POST = "POST"
    LOOK = "look at a job"
    DOWNLOAD = "download"
    IMAGE = "image write"
    SETTLING = "images made durable"
    ATTEMPTS = "attempts write"
    RECORDS = "records write"
    CLEARING = "journal delete"
    VIEW = "view write"
    REPORT = "report write"


class Moment(Enum):
    """When in it."""

    BEFORE = "before"
    HALFWAY = "half-way"
    AFTER = "after"


Step = tuple[Place, Moment]
WITHOUT_A_HALF: Final = frozenset({Place.LOOK, Place.SETTLING, Place.CLEARING})
STEPS: Final[tuple[Step, ...]] = tuple(
    (place, moment)
    for place in Place
    for moment in Moment
    if moment is not Moment.HALFWAY or place not in WITHOUT_A_HALF
)


@dataclass(frozen=True)
class Mine:
    """Kills the process when it passes a step for the `passage`-th time."""

    step: Step
    passage: int


class Gust(Enum):
    """What becomes of a storage call in bad weather."""

    HALF_WRITTEN = "half-written"
    REFUSED = "refused"
    DENIED = "done and denied"


@dataclass(frozen=True)
class Weather:
    """A storage that fails from its `first` call on, for `length` calls."""

    first: int
    length: int
    seed: str

    def gust(self, call: int) -> tuple[Gust, OSError] | None:
        """How badly the call fares; None where the sky is clear."""
        if not self.first <= call < self.first + self.length:
            return None
        chance = random.Random(f"{self.seed} {call}")  # noqa: S311  # seeded, to be repeated
        number = chance.choice(ERRORS)
        return chance.choice(list(Gust)), OSError(number, os.strerror(number))


PLACES: Final[Sequence[tuple[str, Place]]] = (
    ("leases/*", Place.LEASE),
    ("dataset.json", Place.IDENTITY),
    ("plans/*/shards/*", Place.SHARD),
    ("plans/*", Place.PLAN),
    ("images/*", Place.IMAGE),
    ("attempts/*", Place.ATTEMPTS),
    ("records/*", Place.RECORDS),
    ("runs/*", Place.REPORT),
    ("*.parquet", Place.VIEW),
)


def places_of(path: str, data: bytes) -> list[Place]:
    """What is going on when these bytes are written to a path of the dataset."""
    if path.startswith("journal/"):
        return _told(data)
    return [place for pattern, place in PLACES if fnmatch(path, pattern)][:1]


def _told(segment: bytes) -> list[Place]:
    """A segment may tell of several things at once."""
    told = set()
    for line in segment.splitlines():
        entry: dict[str, Any] = orjson.loads(line)
        attempt = entry.get("attempt")
        if attempt is not None and attempt["state"] == "open":
            told.add(Place.INTENT)
        elif attempt is not None and attempt["outcome"] is None:
            told.add(Place.ANSWER)
        elif attempt is not None or "record" in entry:
            told.add(Place.END)
    return sorted(told, key=lambda place: place.name)
