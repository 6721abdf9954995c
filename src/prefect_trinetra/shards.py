"""Which rows are worked on together, admitted under the cap as the bill comes in."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow.parquet as pq

from prefect_trinetra.ledger import CREDIT_GRAIN, Attempt, AttemptState
from prefect_trinetra.plan import REQUEST_FIELDS
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.standing import Action

__all__ = ["Admission", "PlannedRows", "ShardRow", "read_shard", "shard_bytes"]


@dataclass(frozen=True, slots=True)
class ShardRow:
    """A row that has been let in: bought with this attempt number, or (with `job`) only collected."""

    row: int
    key: str
    sample: int
    attempt: int
    bound: float
    request: ImageRequest
    job: Attempt | None = None

    def to_json(self) -> bytes:
        fields: dict[str, Any] = {
            "row": self.row,
            "key": self.key,
            "sample": self.sample,
            "attempt": self.attempt,
            "bound": self.bound,
            "request": self.request.model_dump(exclude_defaults=True),
        }
        if self.job is not None:
            fields["job"] = {name: getattr(self.job, name) for name in _ATTEMPT_FIELDS}
        return orjson.dumps(fields)

    @classmethod
    def from_json(cls, line: bytes) -> ShardRow:
        fields = orjson.loads(line)
        job = fields.pop("job", None)
        request = ImageRequest(**fields.pop("request"))
        return cls(**fields, request=request, job=_job(job) if job else None)


_ATTEMPT_FIELDS: Final = tuple(Attempt.__dataclass_fields__)


def _job(fields: Mapping[str, Any]) -> Attempt:
    return Attempt(**({**fields} | {"state": AttemptState(fields["state"])}))


def shard_bytes(rows: Sequence[ShardRow]) -> bytes:
    """A shard file: one row a line, as JSON."""
    return b"".join(row.to_json() + b"\n" for row in rows)


def read_shard(data: bytes) -> list[ShardRow]:
    """The rows of a shard file."""
    return [ShardRow.from_json(line) for line in data.splitlines() if line]


class PlannedRows:
    """The rows of a plan that have something to do, read from its Parquet file a row group at a time."""

    def __init__(self, rows_file: Path) -> None:
        self._file = pq.ParquetFile(rows_file)
        self._group: tuple[int, list[dict[str, Any]]] = (-1, [])
        self._starts = array("q", [0])
        for number in range(self._file.metadata.num_row_groups):
            self._starts.append(self._starts[-1] + self._file.metadata.row_group(number).num_rows)

    def to_do(self) -> Iterator[tuple[int, float]]:
        """Position and price bound of each row to buy or collect, in order; a collected job was paid for before: 0."""
        start = 0
        for number in range(self._file.metadata.num_row_groups):
            table = self._file.read_row_group(number, columns=["action", "bound"])
            for offset, (action, bound) in enumerate(
                zip(*(column.to_pylist() for column in table.columns), strict=True)
            ):
                if action in {Action.BUY, Action.COLLECT}:
                    yield start + offset, bound if action == Action.BUY else 0.0
            start += table.num_rows

    def at(self, position: int) -> ShardRow:
        """The row at a position; reading in order reads each row group once."""
        number = self._group_of(position)
        if self._group[0] != number:
            columns = ["row", "key", "sample", "attempt", "bound", "job", *REQUEST_FIELDS]
            table = self._file.read_row_group(number, columns=columns)
            self._group = (number, table.to_pylist())
        return _shard_row(self._group[1][position - self._starts[number]])

    def close(self) -> None:
        self._file.close()

    def _group_of(self, position: int) -> int:
        number = max(self._group[0], 0)
        if not self._starts[number] <= position < self._starts[number + 1]:
            number = next(i for i in range(len(self._starts) - 1) if position < self._starts[i + 1])
        return number


def _shard_row(fields: Mapping[str, Any]) -> ShardRow:
    request = {name: fields[name] for name in REQUEST_FIELDS if fields[name] is not None}
    return ShardRow(
        row=fields["row"],
        key=fields["key"],
        sample=fields["sample"],
        attempt=fields["attempt"],
        bound=fields["bound"],
        request=ImageRequest(**request),
        job=_job(orjson.loads(fields["job"])) if fields["job"] else None,
    )


@dataclass
class Admission:
    """Lets rows in, in order, while the cap covers the bounds of all that is open; what is settled frees the rest.

    Jobs to collect come first: they are paid for, and their URLs do not live for ever. Rows too dear for what is left
    are passed over, and tried again once something was settled.
    `left` is the credits still free (infinite without a cap). Once these may not suffice for two more shards, a shard
    has `jobs_in_flight` rows at most: whoever waits for one to be settled waits for jobs that are in flight, and not
    for rows that still wait for a place behind them.
    """

    to_do: Iterator[tuple[int, float]]
    left: float
    shard_size: int
    jobs_in_flight: int
    _positions: array[int] = field(init=False)
    _bounds: array[float] = field(init=False)
    _next: int = 0
    _deferred: list[tuple[int, float]] = field(default_factory=list)
    _waiting: Counter[float] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._positions, self._bounds = array("q"), array("d")
        bought, bounds = array("q"), array("d")
        for position, bound in self.to_do:
            (bought if bound else self._positions).append(position)
            (bounds if bound else self._bounds).append(bound)
        self._positions += bought
        self._bounds += bounds
        self._waiting.update(self._bounds)

    @property
    def waiting(self) -> int:
        """Rows not let in so far."""
        return sum(self._waiting.values())

    def next_shard(self) -> list[int]:
        """The positions of the next shard's rows; empty when nothing that waits fits into what is left."""
        taken: list[int] = []
        size = self._size()
        while len(taken) < size and self._anything_fits():
            position, bound = self._pop()
            if self._fits(bound):
                taken.append(position)
                self.left -= bound
                self._waiting[bound] -= 1
            else:
                self._deferred.append((position, bound))
        return taken

    def settle(self, bounds: float, spent: float) -> None:
        """A shard ended: its bounds are released, what it really spent is not."""
        self.left += bounds - spent

    def _size(self) -> int:
        """Rows of the next shard; a small one behind a full one has to fit, or the full one would be waited for."""
        cut = min(self.shard_size, self.jobs_in_flight)
        open_rows = min(self.waiting, self.shard_size + cut)
        dearest = max((bound for bound, count in self._waiting.items() if count), default=0.0)
        return self.shard_size if self._fits(dearest * open_rows) else cut

    def _anything_fits(self) -> bool:
        return any(count and self._fits(bound) for bound, count in self._waiting.items())

    def _fits(self, bound: float) -> bool:
        # What costs nothing is let in however much was spent.
        return not bound or bound <= self.left + CREDIT_GRAIN

    def _pop(self) -> tuple[int, float]:
        if self._next == len(self._positions):
            self._positions = array("q", (position for position, _ in self._deferred))
            self._bounds = array("d", (bound for _, bound in self._deferred))
            self._next, self._deferred = 0, []
        entry = self._positions[self._next], self._bounds[self._next]
        self._next += 1
        return entry
