"""Small files of many shards become few large ones, and nobody who reads meanwhile misses a request."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import attempt, record, shard_row
from prefect_trinetra.journal import JournalName
from prefect_trinetra.known import KnownState, load_known, load_shard
from prefect_trinetra.ledger import Attempt, AttemptState, merge_attempts
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.parts import FOLD_FROM, fold_parts, store_parts
from prefect_trinetra.records import Record, merge_records
from prefect_trinetra.reentry import taken_up
from prefect_trinetra.standing import Rules
from prefect_trinetra.storage import Storage

RULES = Rules(frozenset(), max_attempts=3)
_numbers = count()


@pytest.fixture
def storage() -> Storage:
    return fresh_storage()


def fresh_storage() -> Storage:
    return Storage.open(f"memory://folding-{next(_numbers)}")


def key(number: int) -> str:
    return f"{number:064x}"


def bought(number: int, plan_id: str) -> Attempt:
    ended: dict[str, Any] = {"finished_at": 130.0, "outcome": "succeeded", "credits_charged": 7.0}
    return attempt(key=key(number), job_id=f"job-{number}", plan_id=plan_id, shard=f"{number:05d}", **ended)


async def shards(storage: Storage, plan_id: str, numbers: range) -> None:
    """A shard of one image for each number."""
    for number in numbers:
        name = JournalName(plan_id, f"{number:05d}", "w1")
        image = record(key=key(number), file_name=f"images/{number}.png", sha256=key(number))
        await store_parts(storage, name.stem, [bought(number, plan_id)], [image])


def facts(known: KnownState) -> tuple[object, object]:
    """What is known, whatever files it came from."""
    return known.attempts_by_post(), known.records_by_key()


async def test_folding_changes_nothing_that_is_known(storage: Storage) -> None:
    await shards(storage, "plan-1", range(FOLD_FROM))
    before = await load_known(storage)
    assert await fold_parts(storage, "plan-1") == 2
    assert [len(await storage.list(folder)) for folder in ("attempts", "records")] == [1, 1]
    assert facts(await load_known(storage)) == facts(before)
    assert len(before.settled) == FOLD_FROM


async def test_a_few_small_files_stay(storage: Storage) -> None:
    await shards(storage, "plan-1", range(FOLD_FROM - 1))
    assert await fold_parts(storage, "plan-1") == 0


async def test_what_was_folded_is_folded_again_with_what_came_later(storage: Storage) -> None:
    """Rule: nightly runs that buy a little leave no long list of files; those of later plans are not touched."""
    for night in range(4):
        await shards(storage, f"plan-{night}", range(20 * night, 20 * night + 20))
        await fold_parts(storage, f"plan-{night}")
    await shards(storage, "plan-4", range(80, 100))
    assert len(await storage.list("records")) <= 4 + 20
    names = await storage.list("attempts")
    await fold_parts(storage, "plan-3")
    assert [name for name in names if "plan-4" in name] == [n for n in await storage.list("attempts") if "plan-4" in n]
    assert len((await load_known(storage)).settled) == 100


async def test_a_shard_that_is_opened_again_finds_its_rows_in_the_folded_file(storage: Storage) -> None:
    """Rule: whatever starts a shard's work anew after its run has ended, nothing is bought twice."""
    rows = [shard_row(f"prompt {number}") for number in range(FOLD_FROM)]
    for number, row in enumerate(rows):
        ended: dict[str, Any] = {"finished_at": 130.0, "outcome": "succeeded"}
        # A collected job is written down as it was ordered: by another plan, in another shard.
        told = attempt(key=row.key, job_id=f"job-{number}", plan_id="plan-0", shard="99999", **ended)
        name = JournalName("plan-1", f"{number:05d}", "w1")
        await store_parts(storage, name.stem, [told], [record(key=row.key)])
    await fold_parts(storage, "plan-1")
    left, before = await taken_up(storage, "plan-1", "00003", [rows[3], shard_row("one that was never begun")], RULES)
    assert [row.request.prompt for row in left] == ["one that was never begun"]
    assert (before.outcomes[Outcome.SUCCEEDED], len(before.records)) == (1, 1)
    assert not (await load_shard(storage, "plan-2", "00003", [rows[3].key])).unsettled


async def test_who_reads_while_files_are_folded_sees_everything(storage: Storage) -> None:
    """Rule: a file that vanishes between listing and reading is looked for again."""
    await shards(storage, "plan-1", range(3 * FOLD_FROM))
    before = facts(await load_known(storage))
    folding = asyncio.create_task(fold_parts(storage, "plan-1"))
    while not folding.done():
        assert facts(await load_known(storage)) == before
    assert facts(await load_known(storage)) == before


async def test_a_crash_before_the_small_files_are_deleted_does_no_harm(storage: Storage) -> None:
    await shards(storage, "plan-1", range(FOLD_FROM))
    before = await load_known(storage)
    files = {path: await storage.read(path) for path in await storage.list()}
    await fold_parts(storage, "plan-1")
    for path, data in files.items():
        await storage.write(path, data)
    assert facts(await load_known(storage)) == facts(before)
    await fold_parts(storage, "plan-1")
    assert facts(await load_known(storage)) == facts(before)


KEYS = st.sampled_from([key(number) for number in range(4)])
TOLD = st.builds(
    lambda key, number, state, outcome, writer, at: attempt(
        state,
        key=key,
        attempt=number,
        writer=writer,
        job_id=f"job-{key[-1]}-{number}" if state is AttemptState.ACCEPTED else None,
        outcome=outcome if state is AttemptState.ACCEPTED else None,
        finished_at=at,
    ),
    KEYS,
    st.sampled_from([1, 1, 1, 2]),
    st.sampled_from([AttemptState.ACCEPTED] * 4 + list(AttemptState)),
    st.sampled_from(["succeeded", "succeeded", "succeeded", "failed", "pending", None]),
    st.sampled_from(["w1", "w2"]),
    st.sampled_from([100.0, 200.0]),
)
RECORDED = st.builds(
    lambda key, index, outcome, at: record(outcome, key=key, index=index, finished_at=at, sha256=f"{key[-1]}{index}"),
    KEYS,
    st.sampled_from([0, 0, 0, 1]),
    st.sampled_from([Outcome.SUCCEEDED] * 4 + [Outcome.FAILED, Outcome.DAMAGED]),
    st.sampled_from([100.0, 200.0]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(TOLD, max_size=3), st.lists(RECORDED, max_size=3)), max_size=5))
def test_columns_and_objects_say_the_same(parts: list[tuple[list[Attempt], list[Record]]]) -> None:
    """Law: which requests are settled, and so read by columns, never changes what is known of any."""

    async def story() -> KnownState:
        storage = fresh_storage()
        for number, (attempts, records) in enumerate(parts):
            await store_parts(storage, f"plan-{number:05d}-w", attempts, records)
        return await load_known(storage)

    known = asyncio.run(story())
    assert known.attempts_by_post() == merge_attempts(each for attempts, _ in parts for each in attempts)
    assert known.records_by_key() == merge_records(each for _, records in parts for each in records)
    assert known.spent_by("run") == sum(each.spent for each in known.ledger())
    assert [*known.ledger_of("run")] == [*known.ledger_since(0.0)] == [*known.ledger()]
