"""A dataset against the bill: what was bought twice, lost, unaccounted for, over the cap, or unknown without cause."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from prefect_trinetra.dataset import idempotency_key, read_identity
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.known import KnownState, load_known
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import FAILURES, LEFT_OVER, Outcome
from prefect_trinetra.records import Record
from prefect_trinetra.recovery import recover_spill
from prefect_trinetra.standing import outcome_now
from prefect_trinetra.storage import Storage
from prefect_trinetra.views import ROWS_FILE

GRAIN: Final = 1e-6


@dataclass
class Evidence:
    """What was seen from outside while the runs of one dataset lived and died."""

    open_keys: set[str] = field(default_factory=set)
    """Requests with an intent and no durable answer when their process had been killed."""
    unanswered: set[str] = field(default_factory=set)
    """Idempotency keys of POSTs whose answer did not come, or did not say whether they were accepted."""
    caps: dict[str, float] = field(default_factory=dict)
    """Credits that each run might spend, by run id."""
    rows: int = 0
    """Rows that the last manifest has."""
    bill: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Figures of one dataset or, added up, of many. From `twice` on each is to be 0; requests are what a key names."""

    requests: int = 0
    succeeded: int = 0
    failed: int = 0
    unknown: int = 0
    bought: int = 0
    images: int = 0
    open_at_kill: int = 0
    answer_lost: int = 0
    twice: int = 0
    lost: int = 0
    unexplained: int = 0
    unaccounted: int = 0
    over_cap: int = 0
    left_over: int = 0

    @property
    def broken(self) -> list[str]:
        """The laws that do not hold, in words."""
        laws = [each.name for each in fields(self)][8:]
        broken = [f"{name} is {getattr(self, name)}" for name in laws if getattr(self, name)]
        if not self.succeeded <= self.bought <= self.succeeded + self.failed + self.unknown:
            broken.append(f"{self.bought} were bought")
        return broken

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


def open_keys(dataset: Path, run_id: str | None) -> set[str]:
    """Requests with an intent of that run (None: of any) and no durable answer, as the dataset has it now."""
    known = asyncio.run(load_known(Storage.open(str(dataset))))
    found = (each for each in known.ledger() if each.state is AttemptState.OPEN)
    return {each.key for each in found if run_id is None or each.run_id == run_id}


def recover(dataset: Path, spill_folder: Path) -> None:
    """Brings back what runs could not store when they had to end, as `status --recover` does."""
    for spilled in sorted(spill_folder.glob("*.jsonl")):
        # A killed process may leave half of one: what it alone told of stays without an answer.
        with contextlib.suppress(DatasetError):
            asyncio.run(recover_spill(Storage.open(str(dataset)), spilled.read_bytes()))
        spilled.unlink()


def audit(dataset: Path, evidence: Evidence) -> Verdict:
    """The verdict on one dataset, whose last run has come to its end."""
    storage = Storage.open(str(dataset))
    identity = asyncio.run(read_identity(storage))
    if identity is None:
        raise SystemExit(f"{dataset} has no identity after its last run")
    return _Audit(dataset, identity.id, asyncio.run(load_known(storage)), evidence).verdict()


@dataclass(frozen=True)
class _Audit:
    dataset: Path
    dataset_id: str
    known: KnownState
    evidence: Evidence

    def verdict(self) -> Verdict:
        ends = Counter(self.outcomes.values())
        unknown = [key for key, outcome in self.outcomes.items() if outcome is Outcome.UNKNOWN]
        is_open = {key for key in unknown if key in self.evidence.open_keys}
        is_lost = {key for key in unknown if self._sent_under(key) & self.evidence.unanswered} - is_open
        return Verdict(
            requests=len(self.outcomes),
            succeeded=ends[Outcome.SUCCEEDED],
            failed=sum(ends[outcome] for outcome in FAILURES - {Outcome.UNKNOWN}),
            unknown=len(unknown),
            bought=sum(self.billed.values()),
            images=sum(job["images"] for job in self.evidence.bill["jobs"]),
            open_at_kill=len(is_open),
            answer_lost=len(is_lost),
            twice=sum(jobs - 1 for jobs in self.billed.values()),
            lost=sum(self._lost(key) for key in self.billed),
            unexplained=len(set(unknown) - is_open - is_lost),
            unaccounted=sum(not self._is_accounted_for(job) for job in self.evidence.bill["jobs"]) + self._strange_rows,
            over_cap=sum(self._spent(run_id) > cap + GRAIN for run_id, cap in self.caps.items()),
            left_over=sum(ends[outcome] for outcome in LEFT_OVER),
        )

    @cached_property
    def caps(self) -> Mapping[str, float]:
        """What each run might spend, by its id, which the command line chooses by itself."""
        plans = [json.loads(path.read_text()) for path in self.dataset.glob("plans/*/plan.json")]
        told = {plan["run_id"]: plan["max_credits"] for plan in plans if plan["max_credits"] is not None}
        return told | self.evidence.caps

    @cached_property
    def attempts(self) -> Mapping[str, list[Attempt]]:
        found: dict[str, list[Attempt]] = {}
        for attempt in self.known.ledger():
            found.setdefault(attempt.key, []).append(attempt)
        return found

    @cached_property
    def records(self) -> Mapping[str, list[Record]]:
        return self.known.records_by_key()

    @cached_property
    def outcomes(self) -> Mapping[str, Outcome]:
        """What became of each request that anything was ever sent for."""
        told = {key: outcome_now(self.records.get(key, ()), mine)[0] for key, mine in self.attempts.items()}
        return {key: outcome for key, outcome in told.items() if outcome is not None}

    @cached_property
    def posts(self) -> Mapping[str, list[Attempt]]:
        """The ledger's accounts of each POST, by its Idempotency-Key."""
        return {idempotency_key(self.dataset_id, *name): told for name, told in self.known.attempts_by_post().items()}

    @cached_property
    def billed(self) -> Mapping[str, int]:
        """Jobs that cost something, by request."""
        jobs = (job for job in self.evidence.bill["jobs"] if job["credits"])
        return Counter(account.key for job in jobs if (account := self._account(job)))

    @cached_property
    def paid_images(self) -> Mapping[str, int]:
        """Images that were billed, by request."""
        images: Counter[str] = Counter()
        for job in self.evidence.bill["jobs"]:
            if job["credits"] and (account := self._account(job)):
                images[account.key] += job["images"]
        return images

    def _account(self, job: Mapping[str, Any]) -> Attempt | None:
        accounts = self.posts.get(job["idempotency_key"], [])
        mine = [each for each in accounts if each.job_id == job["id"]]
        return next(iter(mine or [each for each in accounts if each.may_have_cost and each.job_id is None]), None)

    def _is_accounted_for(self, job: Mapping[str, Any]) -> bool:
        return self._account(job) is not None

    def _spent(self, run_id: str) -> float:
        accounts = [(job["credits"], self._account(job)) for job in self.evidence.bill["jobs"]]
        mine = (float(credits_) for credits_, account in accounts if account is not None and account.run_id == run_id)
        return sum(mine)

    def _sent_under(self, key: str) -> set[str]:
        return {idempotency_key(self.dataset_id, key, attempt.attempt) for attempt in self.attempts[key]}

    def _lost(self, key: str) -> int:
        """Images of a request that were paid for and are not there, though it is not called unknown."""
        if self.outcomes.get(key) is Outcome.UNKNOWN:
            return 0
        intact = sum(
            _is_intact(self.dataset / record.file_name, record.sha256)
            for record in self.records.get(key, ())
            if record.file_name
        )
        return max(0, self.paid_images[key] - intact)

    @cached_property
    def _strange_rows(self) -> int:
        """Rows that are missing from the view, or are said to have become of something else than the ledger says."""
        if not (self.dataset / ROWS_FILE).exists():
            return self.evidence.rows
        rows = pq.read_table(self.dataset / ROWS_FILE, columns=["key", "outcome"]).to_pylist()
        known = [row for row in rows if row["key"] in self.outcomes]
        strange = len([row for row in known if row["outcome"] != self.outcomes[row["key"]].value])
        return strange + abs(len(rows) - self.evidence.rows)


def _is_intact(path: Path, sha256: str | None) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
