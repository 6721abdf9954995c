"""Who holds a scope, as its lease file says, and what a waiting run may conclude from it. Pure."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any, Final, Self

import orjson

__all__ = ["DEAD_SECONDS", "HoldState", "Holding", "LeaseTimes", "Sighting", "Verdict"]

# A holder that is alive writes four times as often: neither a slow store nor a busy machine makes it look dead.
DEAD_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """The times of a lease, in seconds, all from one: how long a silent holder is waited for.

    They must stand in this order, which is what keeps two holders apart: `fresh` < `settle`. Whoever submits has looked
    for a successor within `fresh`; a successor waits `settle` before it reads what there is.
    """

    dead: float = DEAD_SECONDS

    @property
    def beat(self) -> float:
        """Between two signs of life."""
        return self.dead / 4

    @property
    def fresh(self) -> float:
        """How long a look for a successor is good for."""
        return self.dead / 2

    @property
    def settle(self) -> float:
        """What a successor waits, so that the last order of the one before is in the journal."""
        return self.dead * 3 / 4


class HoldState(StrEnum):
    """How a holder left its scope, or that it did not."""

    HELD = "held"
    LEFT = "left"
    """It ended, but something that it started may not have."""
    RELEASED = "released"
    """It ended, and so did all that it had started."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a lease file says. `beat` is the counter that tells a live holder from a dead one."""

    run_id: str
    token: str
    host: str
    pid: int
    since: str
    dead_seconds: float
    beat: int = 0
    state: HoldState = HoldState.HELD

    @classmethod
    def new(cls, run_id: str, token: str, times: LeaseTimes) -> Self:
        """A holding of this process, from now on."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(run_id, token, socket.gethostname(), os.getpid(), since, times.dead)

    def after_beat(self) -> Self:
        return replace(self, beat=self.beat + 1)

    def ended(self, state: HoldState) -> Self:
        return replace(self, state=state)

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> Self | None:
        """None where it is no whole lease file: it may be in the middle of being written."""
        try:
            fields: dict[str, Any] = orjson.loads(data)
            known = {name: fields[name] for name in cls.__slots__ if name in fields}
            return cls(**(known | {"state": HoldState(fields["state"])}))
        except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
            return None

    @property
    def words(self) -> str:
        """Who it is, for a person."""
        return f"run {self.run_id} on {self.host} (process {self.pid}, since {self.since})"


class Verdict(Enum):
    """What a waiting run may do about a scope."""

    VACANT = "vacant"
    """Nobody is there, nor anything that somebody started: take it."""
    DESERTED = "deserted"
    """Its holder is dead or left in disorder: take it, and wait before reading what there is."""
    HELD = "held"
    """Somebody is at work."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """The latest generation of a scope as a waiting run saw it, and since when it has not changed.

    `generation` is 0 where there is none. `first_seen_at` is on the waiting run's own clock.
    """

    generation: int = 0
    content: bytes = b""
    first_seen_at: float = 0.0

    def then(self, generation: int, content: bytes, now: float) -> Sighting:
        """What is known after one more look."""
        if (generation, content) == (self.generation, self.content):
            return self
        return Sighting(generation, content, now)

    @property
    def holding(self) -> Holding | None:
        return Holding.from_json(self.content) if self.content else None

    def times(self, own: LeaseTimes) -> LeaseTimes:
        """The longer of the waiting run's times and the holder's: both have to be safe."""
        holding = self.holding
        return own if holding is None else LeaseTimes(max(own.dead, holding.dead_seconds))

    def verdict(self, now: float, own: LeaseTimes) -> Verdict:
        if self.generation == 0:
            return Verdict.VACANT
        holding = self.holding
        if holding is not None and holding.state is HoldState.RELEASED:
            return Verdict.VACANT
        if holding is not None and holding.state is HoldState.LEFT:
            return Verdict.DESERTED
        # A file that can't be read has no counter: all of it stands for one.
        return Verdict.DESERTED if now - self.first_seen_at >= self.times(own).dead else Verdict.HELD
