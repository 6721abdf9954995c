"""When a job is worth looking at: what earlier jobs of its kind took, and the steps from there. Pure."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Latencies", "Latency", "Schedule"]

# One job in seven ends before its first look and waits for it a little; an earlier look would mostly be in vain.
LOW_QUANTILE: Final = 0.15
# Half of them outvote the rest after a change. Fewer would mistake the late ones of a batch for all.
WINDOW_JOBS: Final = 100
# A job that had ended by its first look ended at some earlier moment. We guess this part of its age, and less with
# each further one in a row: chance makes no rows, only jobs that became faster do.
EARLY_PART: Final = 0.9
SMALLEST_EARLY_PART: Final = 0.3
# An interval wider than this part of the age (an outage lay in it) tells too little to learn from.
WIDEST_PART: Final = 0.5


@dataclass(frozen=True, slots=True)
class Latency:
    """What jobs of one kind take from submission to their end, in seconds: the low quantile and the median."""

    low: float
    median: float


@dataclass(slots=True)
class _Recent:
    """The last jobs of one kind, by time and by size, and how many of the latest ended before their first look."""

    by_time: deque[float] = field(default_factory=deque)
    by_size: list[float] = field(default_factory=list)
    early_in_a_row: int = 0

    def add(self, seconds: float) -> None:
        self.by_time.append(seconds)
        insort(self.by_size, seconds)
        if len(self.by_time) > WINDOW_JOBS:
            del self.by_size[bisect_left(self.by_size, self.by_time.popleft())]


class Latencies:
    """What the last jobs of each group ("model/quality") took."""

    def __init__(self) -> None:
        self._groups: dict[str, _Recent] = {}

    def of(self, group: str) -> Latency | None:
        """What jobs of this group take at present, or None where none has ended yet."""
        if group not in self._groups:
            return None
        ordered = self._groups[group].by_size
        return Latency(low=ordered[int(LOW_QUANTILE * len(ordered))], median=ordered[len(ordered) // 2])

    def ended(self, group: str, *, seen_running: float | None, seen_ended: float) -> None:
        """Learn from a job last seen running at one age (None: never) and ended at another."""
        if seen_running is not None and seen_ended - seen_running > seen_ended * WIDEST_PART:
            return
        recent = self._groups.setdefault(group, _Recent())
        if seen_running is None:
            recent.early_in_a_row += 1
            part = max(SMALLEST_EARLY_PART, EARLY_PART**recent.early_in_a_row)
            recent.add(seen_ended * part)
        else:
            recent.early_in_a_row = 0
            recent.add((seen_running + seen_ended) / 2)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to look at a job. All times are in seconds.

    `step` trades delay for requests: it is the wait between two looks, as a part of what such jobs take.
    """

    step: float = 0.083
    least_step_seconds: float = 0.1
    """A request costs about as much as this much waiting is worth."""
    most_step_seconds: float = 10.0
    """A stuck job that comes loose is seen within this."""
    first_unknown_seconds: float = 0.5
    """The first look where nothing is known of the group: quick jobs are found quickly."""
    least_first_seconds: float = 0.05
    """Nothing is made faster than this."""

    def seconds_to_look(self, age: float, latency: Latency | None) -> float:
        """The wait from `age` to the next look at a job whose kind takes `latency`; None is not known yet."""
        if latency is None:
            # Half as dense as with knowledge, or the first jobs of a large run would flood the provider.
            return self._first_look(age, self.first_unknown_seconds) or self._bounded(2 * self.step * age)
        first = self._first_look(age, max(latency.low, self.least_first_seconds))
        return first or self._bounded(self.step * max(latency.median, age * LATE_PART))

    def _bounded(self, step: float) -> float:
        return min(self.most_step_seconds, max(self.least_step_seconds, step))

    @staticmethod
    def _first_look(age: float, first: float) -> float:
        return max(0.0, first - age)


# Steps are even where most jobs end, and grow with the age from half as much again.
LATE_PART: Final = 0.67
