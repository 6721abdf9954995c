"""What a run would do, row by row, before anything is spent."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Final

import orjson
import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from prefect_trinetra.allowance import Allowance
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.request import KEY_VERSION, ImageRequest
from prefect_trinetra.standing import Rules

__all__ = [
    "MANIFEST_PREFIX",
    "PLANS_FOLDER",
    "PLAN_SCHEMA",
    "REQUEST_FIELDS",
    "ROWS_AT_ONCE",
    "Cap",
    "Plan",
    "PlanFiles",
    "PlanTerms",
    "QualityTotals",
    "new_plan_id",
    "plan_schema",
]

PLANS_FOLDER: Final = "plans"
# Of a plan that are in memory while it is made, and in a row group of its file.
ROWS_AT_ONCE: Final = 5_000
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


def plan_schema(columns: pa.Schema) -> pa.Schema:
    """That of the plan of a manifest that carries these columns through."""
    return pa.schema([*PLAN_SCHEMA, *(field.with_name(MANIFEST_PREFIX + field.name) for field in columns)])


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

    @property
    def saved(self) -> str:
        """A mark that a person may apply it later; beside it those of the run that did."""
        return f"{self.folder}/saved"

    def shard(self, name: str) -> str:
        return f"{self.folder}/shards/{name}.jsonl"

    def report(self, name: str) -> str:
        """What became of a shard that was worked on elsewhere, for the run that ordered it."""
        return f"{self.folder}/reports/{name}.json"


@dataclass(frozen=True)
class Cap:
    """What a run may spend in credits (None for anything), and what the run has already spent of it."""

    credits: float | None = None
    spent: float = 0.0

    @classmethod
    def least(cls, *bounds: float | None, spent: float = 0.0) -> Cap:
        """The cap where several bounds hold; those that are None don't."""
        return cls(min((bound for bound in bounds if bound is not None), default=None), spent)

    @property
    def left(self) -> float:
        return float("inf") if self.credits is None else self.credits - self.spent


@dataclass(frozen=True, slots=True)
class QualityTotals:
    """The rows to buy of one quality: those that fit under the cap, and those that don't. Bounds are credits."""

    rows: int = 0
    images: int = 0
    bound: float = 0.0
    rows_over_cap: int = 0
    bound_over_cap: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A plan's totals. Rows are counted once each, samples included; credits are bounds at the account's prices.

    `to_buy` is every row that is missing, `over_cap` those of them that the cap does not cover. `cap` is the smallest
    of `max_credits`, of what `budget` leaves and of the bound of the plan that is applied.
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
    by_quality: Mapping[str, QualityTotals]
    max_credits: float | None
    cap: float | None
    spent_before: float
    budget: Allowance | None = None
    unknown_at_most: float = 0.0
    """What the POSTs of the kept rows that are unknown may have cost: counted when they were made."""
    collect_at_most: float = 0.0
    """What the jobs to collect may cost: counted when they were ordered."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Every row by the outcome it has as long as nothing is done, duplicates like the row they repeat."""
    images: int = 0
    """How many images the rows to buy (under the cap) and to collect ask for."""
    remarks: tuple[str, ...] = ()
    applies: str | None = None
    """The saved plan that this one was made to carry out."""
    reading: str = ""
    """Tells how the manifest was read: with the same one, and the same fingerprint, its rows ask for the same."""

    @property
    def unknown(self) -> int:
        """Rows that are kept since nobody knows whether they were ordered."""
        return self.kept.get(Outcome.UNKNOWN.value, 0)

    @property
    def over_cap(self) -> int:
        return sum(quality.rows_over_cap for quality in self.by_quality.values())

    @property
    def bound_over_cap(self) -> float:
        return sum(quality.bound_over_cap for quality in self.by_quality.values())

    @property
    def bound(self) -> float:
        """What all rows to buy may cost, whether or not the cap covers them."""
        return sum(quality.bound + quality.bound_over_cap for quality in self.by_quality.values())

    @property
    def left(self) -> float:
        """What the run may still spend: infinite without a cap, below 0 where it spent more under a higher one."""
        return Cap(self.cap, self.spent_before).left

    @property
    def cap_words(self) -> str:
        """What the cap comes from, with what to raise or to wait for."""
        if self.budget is not None and self.cap == self.budget.left:
            return f"the budget of {self.budget.credits:g} credits a {self.budget.per}, until {self.budget.ends_at}"
        if self.cap == self.max_credits:
            return "max_credits"
        return f"the bound of plan {self.applies}"

    @property
    def spend_at_most(self) -> float:
        """The most that carrying it out costs, in credits: its bound, or what the cap leaves where that is less."""
        return min(self.bound, max(0.0, self.left))

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2)

    @classmethod
    def from_json(cls, data: bytes) -> Plan:
        """Raises DatasetError where it is no plan."""
        try:
            return TypeAdapter(Plan).validate_json(data)
        except ValidationError as error:
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
    sample_base: int = 0
    max_credits: float | None = None
    budget: Allowance | None = None
    spent_before: float = 0.0
    account_prices: Mapping[str, float] = field(default_factory=dict)
    plan_id: str | None = None
    """The saved plan that is to be carried out."""
    applies: Plan | None = None

    def reading(self, asked: bytes) -> str:
        """Of a manifest that is read as `asked` says: a hash of all but its content that decides what its rows ask for.

        And of what decides what they may cost.
        """
        account = [self.samples, self.sample_base, sorted(self.account_prices.items())]
        return hashlib.sha256(asked + orjson.dumps([KEY_VERSION, version("prefect-trinetra"), account])).hexdigest()

    @property
    def cap(self) -> Cap:
        """A plan that is applied bounds its run: that much was agreed to."""
        agreed = self.applies.spend_at_most if self.applies else None
        left = self.budget.left if self.budget else None
        return Cap.least(self.max_credits, left, agreed, spent=self.spent_before)
