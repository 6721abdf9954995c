"""Plain values that several tests need, with everything that does not matter filled in."""

from __future__ import annotations

from typing import Any

from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.records import Record
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.shards import ShardRow

KEY = "ab" * 32


def attempt(state: AttemptState = AttemptState.ACCEPTED, **fields: Any) -> Attempt:
    """An attempt; an accepted one has job `job-1` unless told otherwise."""
    known: dict[str, Any] = {
        "key": KEY,
        "attempt": 1,
        "sample": 0,
        "run_id": "run",
        "plan_id": "plan",
        "shard": "00000",
        "writer": "w1",
        "state": state,
        "bound": 7.0,
        "begun_at": 100.0,
        "job_id": "job-1" if state is AttemptState.ACCEPTED else None,
    }
    return Attempt(**(known | fields))


def record(outcome: Outcome = Outcome.SUCCEEDED, **fields: Any) -> Record:
    """A record of image 0; a succeeded one has a file."""
    known: dict[str, Any] = {
        "key": KEY,
        "index": 0,
        "sample": 0,
        "attempt": 1,
        "outcome": outcome,
        "finished_at": 200.0,
        "file_name": "images/ab/x.png" if outcome is Outcome.SUCCEEDED else None,
    }
    return Record(**(known | fields))


def shard_row(prompt: str = "a cat", **fields: Any) -> ShardRow:
    """A row to buy."""
    request = ImageRequest(prompt, **fields.pop("parameters", {}))
    known: dict[str, Any] = {
        "row": 1,
        "key": request.key(),
        "sample": 0,
        "attempt": 1,
        "bound": 7.0,
        "request": request,
    }
    return ShardRow(**(known | fields))
