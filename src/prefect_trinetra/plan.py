"""What a run would do, row by row, before anything is spent."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Final

import orjson
import pyarrow as pa

from prefect_trinetra.errors import DatasetError
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.standing import Rules

__all__ = [
    "MANIFEST_PREFIX",
    "PLANS_FOLDER",
    "PLAN_SCHEMA",
    "REQUEST_FIELDS",
    "Budget",
    "Plan",
    "PlanFiles",
    "PlanTerms",
    "new_plan_id",
]

PLANS_FOLDER: Final = "plans"
# The manifest's own columns stand behind this prefix in a plan, so that none can hide one of ours.
MANIFEST_PREFIX: Final = "manifest."

REQUEST_FIELDS: Final[tuple[str, ...]] = tuple(ImageRequest.model_fields)
_REQUEST_SCHEMA: Final = [
    (name, pa.int32() if name in {"n", "output_compression"} else pa.string()) for name in REQUEST_FIELDS
]
PLAN_SCHEMA: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("sample", pa.int32()),
        ("source", pa.string()),
        ("key", pa.string()),
        ("action", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("first_row", pa.int64()),
        ("attempt", pa.int32()),
        ("bound", pa.float64()),
        ("job", pa.string()),
        *_REQUEST_SCHEMA,
    ]
)


@dataclass(frozen=True)
class PlanFiles:
    """Where a plan lies inside its dataset."""

    plan_id: str

    @property
    def folder(self) -> str:
        return f"{PLANS_FOLDER}/{self.plan_id}"

    @property
    def rows(self) -> str:
        return f"{self.folder}/rows.parquet"

    @property
    def summary(self) -> str:
        return f"{self.folder}/plan.json"

    def shard(self, name: str) -> str:
        return f"{self.folder}/shards/{name}.jsonl"


@dataclass(frozen=True)
class Budget:
    """The cap of a run in credits (None for none), and what the run has already spent of it."""

    max_credits: float | None = None
    spent: float = 0.0

    @property
    def left(self) -> float:
        return float("inf") if self.max_credits is None else self.max_credits - self.spent


@dataclass(frozen=True)
class Plan:
    """A plan's totals. Rows are counted once each, samples included; credits are bounds at the account's prices.

    `bound` is what the rows to buy may cost in all; `bound_over_cap` the part of it that the cap does not cover.
    """

    id: str
    run_id: str
    made_at: str
    fingerprint: str
    rows: int
    to_buy: int
    to_collect: int
    kept: Mapping[str, int]
    duplicates: int
    invalid: int
    over_cap: int
    bound: float
    bound_over_cap: float
    bound_by_quality: Mapping[str, float]
    max_credits: float | None
    spent_before: float
    images: int = 0
    """How many images the rows to buy (under the cap) and to collect ask for."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Every row by the outcome it has as long as nothing is done, duplicates like the row they repeat."""
    remarks: tuple[str, ...] = ()

    @property
    def spend_at_most(self) -> float:
        """The most that carrying it out costs, in credits: its bound, or what the cap leaves where that is less."""
        if self.max_credits is None:
            return self.bound
        return min(self.bound, max(0.0, self.max_credits - self.spent_before))

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2)

    @classmethod
    def from_json(cls, data: bytes) -> Plan:
        """Raises DatasetError where it is no plan."""
        try:
            fields = orjson.loads(data)
            return cls(**(fields | {"remarks": tuple(fields["remarks"])}))
        except (orjson.JSONDecodeError, TypeError, KeyError) as error:
            raise DatasetError("plan.json is not a plan of this version: make a new plan") from error


def new_plan_id(now: datetime) -> str:
    """Sorts by time, and is unique without asking anyone."""
    return f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class PlanTerms:
    """What a plan is made under: what may be tried again, for whom, how often, at what prices, up to which cap."""

    rules: Rules = field(default_factory=lambda: Rules(frozenset({Outcome.FAILED}), max_attempts=3))
    run_id: str = ""
    samples: int = 1
    budget: Budget = field(default_factory=Budget)
    account_prices: Mapping[str, float] = field(default_factory=dict)
