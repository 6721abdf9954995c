"""A shard that was worked on before: what its earlier writers had done, so that nothing of it is done again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from prefect_trinetra.journal import JOURNAL_FOLDER
from prefect_trinetra.known import load_shard, settle_journals
from prefect_trinetra.ledger import Attempt
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.records import Record
from prefect_trinetra.shards import ShardRow
from prefect_trinetra.standing import Action, Rules, decide
from prefect_trinetra.storage import Storage

__all__ = ["Before", "taken_up"]


@dataclass(frozen=True)
class Before:
    """What earlier writers of a shard left: the rows that it was made of, and what is known of them."""

    admitted: Sequence[ShardRow] = ()
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    """Of rows that are done."""
    attempts: Sequence[Attempt] = ()
    records: Sequence[Record] = ()


async def taken_up(
    storage: Storage, plan_id: str, shard: str, rows: Sequence[ShardRow], rules: Rules
) -> tuple[list[ShardRow], Before]:
    """The rows that are left to do, and what was done before. To be called by the shard's one holder.

    A job that is out is collected, what has an outcome keeps it; the rest is bought as it was planned.
    """
    await settle_journals(storage, f"{JOURNAL_FOLDER}/{plan_id}/{shard}")
    known = await load_shard(storage, plan_id, shard, [row.key for row in rows])
    left: list[ShardRow] = []
    outcomes: Counter[Outcome] = Counter()
    for row in rows:
        told = _resumed(row, known.unsettled.get(row.key, ()), known.unsettled_records.get(row.key, ()), rules)
        if isinstance(told, Outcome):
            outcomes[told] += 1
        else:
            left.append(told)
    return left, Before(rows, outcomes, list(known.ledger()), list(known.recorded()))


def _resumed(row: ShardRow, attempts: Sequence[Attempt], records: Sequence[Record], rules: Rules) -> ShardRow | Outcome:
    """The row as it is to be gone on with, or the outcome that it has."""
    if not attempts:
        return row
    # Within one run nothing is tried again: that is for the next plan to decide.
    standing = decide(records, attempts, replace(rules, retry=frozenset()))
    match standing.action:
        case Action.COLLECT:
            return replace(row, attempt=standing.attempt, job=standing.job)
        case Action.BUY:
            return replace(row, attempt=max(row.attempt, standing.attempt))
        case _:
            return standing.outcome
