"""When a job is worth looking at: what earlier jobs of its kind took, and the steps from there. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Latencies", "Latency", "Schedule"]

# What is counted as one age: a tenth is finer than the steps between looks.
AGE_RATIO: Final = 1.1
# Nothing is made faster than this.
LEAST_AGE_SECONDS: Final = 0.05
# Up to 35 minutes; older jobs count as if they were that old.
AGES: Final = 112
AGE_EDGES: Final = (0.0, *(LEAST_AGE_SECONDS * AGE_RATIO**number for number in range(AGES)))
# About the last forty jobs that reached an age count there. Fewer blur the quantiles, more forget too slowly.
RECENT_JOBS: Final = 40
# Of jobs at an age that none was seen at yet, a tenth is taken to end there: half of them before twice that age.
# It weighs a fiftieth of a job, so that one seen outvotes it.
SUPPOSED_SHARE: Final = 0.1
SUPPOSED_JOBS: Final = 0.02
# One job in six ends before its first look and waits for it a little; an earlier look would mostly be in vain.
LOW_QUANTILE: Final = 0.18
# Where ends are announced, one job in fifty is looked at before its announcement.
LATE_QUANTILE: Final = 0.98
QUANTILES: Final = (LOW_QUANTILE, 0.5, LATE_QUANTILE)
# The quantiles move little by one observation, and finding them takes as long as ten.
OBSERVATIONS_PER_ESTIMATE: Final = 8


@dataclass(frozen=True, slots=True)
class Latency:
    """What jobs of one kind take from submission to their end, in seconds: low quantile, median, late quantile."""

    low: float
    median: float
    late: float


@dataclass(slots=True)
class _Ages:
    """Of the jobs of one kind that reached each age, how many there were of late, and how many ended at it.

    A job that is still running counts from its first look on: a change is noticed before the first job has ended.
    """

    reached: list[float] = field(default_factory=lambda: [0.0] * AGES)
    ended: list[float] = field(default_factory=lambda: [0.0] * AGES)

    def share_ended(self, age: int) -> float:
        return (self.ended[age] + SUPPOSED_JOBS * SUPPOSED_SHARE) / (self.reached[age] + SUPPOSED_JOBS)

    def pass_through(self, since: float, until: float) -> None:
        for age, part in _parts(since, until):
            self._count(age, part, 0.0)

    def end_within(self, since: float, until: float) -> None:
        """The end lay somewhere between two looks: each age gets the share that is its own by what is known so far."""
        parts = _parts(since, until)
        shares, alive = [], 1.0
        for age, part in parts:
            shares.append(alive * part * self.share_ended(age))
            alive -= shares[-1]
        whole, alive = sum(shares), 1.0
        for (age, part), share in zip(parts, shares, strict=True):
            ended = share / whole
            self._count(age, max(alive * part, ended), ended)
            alive = max(0.0, alive - ended)

    def end_at(self, since: float, moment: float) -> None:
        """The end is known exactly."""
        age = min(bisect_right(AGE_EDGES, moment) - 1, AGES - 1)
        if since < AGE_EDGES[age]:
            self.pass_through(since, AGE_EDGES[age])
        self._count(age, 1.0, 1.0)

    def quantiles(self) -> Latency:
        alive = 1.0
        found: list[float] = []
        for age in range(AGES):
            share = self.share_ended(age)
            for quantile in QUANTILES[len(found) :]:
                if alive * (1 - share) > 1 - quantile:
                    break
                found.append(_within(age, (alive - 1 + quantile) / (alive * share)))
            if len(found) == len(QUANTILES):
                break
            alive *= 1 - share
        return Latency(*found, *[AGE_EDGES[-1]] * (len(QUANTILES) - len(found)))

    def _count(self, age: int, reached: float, ended: float) -> None:
        kept = 1 - min(1.0, reached / RECENT_JOBS)
        self.reached[age] = self.reached[age] * kept + reached
        self.ended[age] = self.ended[age] * kept + ended


def _parts(since: float, until: float) -> list[tuple[int, float]]:
    """The ages between two moments of a job's life, each with the part of it that lies between them."""
    first = min(bisect_right(AGE_EDGES, since) - 1, AGES - 1)
    last = max(first, min(bisect_left(AGE_EDGES, until) - 1, AGES - 1))
    parts = []
    for age in range(first, last + 1):
        start, end = AGE_EDGES[age], AGE_EDGES[age + 1]
        # Never nothing: where the end is known exactly, all of it lies in one age.
        parts.append((age, max(1e-9, min(1.0, (min(end, until) - max(start, since)) / (end - start)))))
    return parts


def _within(age: int, part: float) -> float:
    return AGE_EDGES[age] + part * (AGE_EDGES[age + 1] - AGE_EDGES[age])


class Latencies:
    """What the last jobs of each group ("model/quality") took. Ages are in seconds since submission."""

    def __init__(self) -> None:
        self._ages: dict[str, _Ages] = {}
        self._known: dict[str, Latency] = {}
        self._news: dict[str, int] = {}

    def of(self, group: str) -> Latency | None:
        """What jobs of this group take at present, or None where none has ended yet."""
        return self._known.get(group)

    def running(self, group: str, *, since: float, until: float) -> None:
        """Learn from a job that was seen running at one age (0: submitted) and is still at another."""
        self._ages.setdefault(group, _Ages()).pass_through(since, max(since, until))
        if group in self._known:
            self._estimate(group)

    def presumed(self, group: str, *, since: float, until: float) -> None:
        """Count a job as running between two ages though nobody looked. What is known changes with the next look only:
        a silence alone can't make jobs seem slower and slower."""
        self._ages.setdefault(group, _Ages()).pass_through(since, max(since, until))

    def ended(self, group: str, *, since: float, until: float) -> None:
        """Learn from a job that was last seen running at one age (0: submitted) and had ended by another."""
        self._ages.setdefault(group, _Ages()).end_within(since, max(since, until))
        self._estimate(group)

    def ended_at(self, group: str, *, since: float, moment: float) -> None:
        """Learn from a job that was last counted at one age (0: submitted) and is known to have ended at another."""
        self._ages.setdefault(group, _Ages()).end_at(since, max(since, moment))
        self._estimate(group)

    def _estimate(self, group: str) -> None:
        self._news[group] = self._news.get(group, 0) + 1
        if group not in self._known or self._news[group] % OBSERVATIONS_PER_ESTIMATE == 0:
            self._known[group] = self._ages[group].quantiles()


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to look at a job. All times are in seconds.

    `patience` trades requests for delay: twice of it makes about half the looks between first look and end, and the
    end is seen about twice as late.
    """

    patience: float = 1.0
    step: float = 0.08
    """The wait between two looks, as a part of what such jobs take."""
    least_step_seconds: float = 0.1
    """A request costs about as much as this much waiting is worth."""
    most_step_seconds: float = 30.0
    """A stuck job that comes loose is seen within this."""
    first_unknown_seconds: float = 0.5
    """The first look where nothing is known of the group: quick jobs are found quickly."""
    safety_step: float = 0.3
    """The wait between two looks at a job whose end will be announced, as a part of its age."""
    spot_checks: float = 0.125
    """The share of jobs that wait for their announcement for a quarter more than the median only."""
    strays: float = 0.2
    """The share of jobs that get a look before their first one: they tell when all have become faster."""

    def next_look(self, looked_at: float, latency: Latency | None, chance: float = 1.0) -> float:
        """The age at which to look next at a job last seen running at age `looked_at`; 0 is never looked at.

        `latency` is what its kind takes, None where that is not known yet; `chance` in 0..1 is the job's own, and says
        whether and when it strays.
        """
        if latency is None:
            # Half as dense as with knowledge, or the first jobs of a large run would flood the provider.
            if looked_at < self.first_unknown_seconds:
                return self.first_unknown_seconds
            return looked_at + self._bounded(2 * self.step * looked_at)
        if looked_at == 0:
            first = max(latency.low, LEAST_AGE_SECONDS)
            return max(LEAST_AGE_SECONDS, min(first, first * chance * self.patience / self.strays))
        step = self._bounded(self.step * max(latency.median, looked_at * LATE_PART))
        return max(looked_at + step, latency.low)

    def safety_look(self, looked_at: float, latency: Latency | None, chance: float = 0.0) -> float:
        """The age at which to look at a job whose end will be announced, in case that is lost.

        A few, by `chance` in 0..1, are looked at early: most have ended by then, and show whether hints come.
        """
        if latency is None:
            first = self.most_step_seconds
        else:
            medians = MOST_MEDIANS if chance <= 1 - self.spot_checks else SPOT_CHECK_MEDIANS
            first = max(LEAST_AGE_SECONDS, min(latency.late, medians * latency.median))
        if looked_at < first:
            return max(first, looked_at + self.least_step_seconds)
        return looked_at + max(self.least_step_seconds, min(self.most_step_seconds, self.safety_step * looked_at))

    def _bounded(self, step: float) -> float:
        return min(self.most_step_seconds, max(self.least_step_seconds, self.patience * step))


# The late quantile is known from few jobs, and silence that is taken for running makes it later still.
MOST_MEDIANS: Final = 2.5
SPOT_CHECK_MEDIANS: Final = 1.25
# Steps are even where most jobs end, and grow with the age from a quarter more.
LATE_PART: Final = 0.8
