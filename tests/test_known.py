"""What a dataset knows of itself: journals become parts in steps, and no crash between two of them matters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import attempt, record
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.journal import Journal, JournalName
from prefect_trinetra.known import KnownState, load_known, settle_journals
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.parts import store_parts
from prefect_trinetra.records import Record
from prefect_trinetra.storage import Storage

NAME = JournalName("plan", "00000", "w1")
# One request of each end, each with the intent before it, in the order in which a run notes them.
HISTORY: list[Attempt | Record] = [
    attempt(AttemptState.OPEN, key="aa" * 32, request="{}"),
    attempt(AttemptState.OPEN, key="bb" * 32, request="{}"),
    attempt(AttemptState.OPEN, key="cc" * 32, request="{}"),
    attempt(key="aa" * 32, answered_at=110.0),
    attempt(AttemptState.REFUSED, key="bb" * 32, answered_at=110.0, reason="moderation"),
    record(Outcome.REFUSED, key="bb" * 32),
    attempt(AttemptState.OPEN, key="dd" * 32, request="{}"),
    attempt(AttemptState.VOID, key="dd" * 32, answered_at=120.0),
    record(key="aa" * 32, file_name=None),
    attempt(key="aa" * 32, answered_at=110.0, finished_at=130.0, outcome="succeeded", credits_charged=7.0),
]
_numbers = count()


@pytest.fixture
def storage() -> Storage:
    return fresh_storage()


def fresh_storage() -> Storage:
    return Storage.open(f"memory://known-{next(_numbers)}")


async def journaled(storage: Storage, *, entries: list[Attempt | Record] = HISTORY) -> Journal:
    """A journal with one segment for each entry."""
    journal = Journal(storage, NAME)
    for entry in entries:
        await journal.append(entry)
    return journal


def facts(known: KnownState) -> tuple[object, object]:
    """What is known, whatever files it came from."""
    return known.attempts_by_post(), known.records_by_key()


async def test_settling_changes_nothing_that_is_known(storage: Storage) -> None:
    """Rule: journals and the parts made of them say the same."""
    await journaled(storage)
    before = await load_known(storage)
    assert await settle_journals(storage) == 1
    assert facts(await load_known(storage)) == facts(before)
    assert await storage.list("journal") == []


async def test_settling_twice_is_settling_once(storage: Storage) -> None:
    await journaled(storage)
    await settle_journals(storage)
    files = [await storage.read(path) for path in await storage.list()]
    assert await settle_journals(storage) == 0
    assert [await storage.read(path) for path in await storage.list()] == files


async def test_a_crash_between_attempts_and_records_changes_nothing(storage: Storage) -> None:
    """Rule: the attempts are stored first; while their records are missing the journal still tells of both."""
    await journaled(storage)
    before = await load_known(storage)
    await settle_journals(storage)
    for path in await storage.list("records"):
        await storage.delete(path)
    await journaled(storage)
    await settle_journals(storage)
    assert facts(await load_known(storage)) == facts(before)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(0, len(HISTORY) - 1)))
def test_a_crash_among_the_deletions_changes_nothing(left_behind: set[int]) -> None:
    """Law: whichever segments a closing writer left, reading and settling them again says what was known before."""

    async def story() -> None:
        storage = fresh_storage()
        await journaled(storage)
        before = await load_known(storage)
        segments = {path: await storage.read(path) for path in await storage.list("journal")}
        await settle_journals(storage)
        for number, (path, data) in enumerate(segments.items()):
            if number in left_behind:
                await storage.write(path, data)
        assert facts(await load_known(storage)) == facts(before)
        await settle_journals(storage)
        assert facts(await load_known(storage)) == facts(before)

    asyncio.run(story())


async def test_a_writer_that_closes_while_another_reads_is_seen_whole(storage: Storage) -> None:
    """Rule: a reader meets the journal, the parts, or both; never neither."""
    journal = await journaled(storage)
    before = facts(await load_known(storage))

    async def close() -> None:
        known = await load_known(storage)
        await store_parts(storage, NAME.stem, list(known.ledger()), list(known.recorded()))
        await journal.discard()

    closing = asyncio.create_task(close())
    while not closing.done():
        assert facts(await load_known(storage)) == before
    await closing
    assert facts(await load_known(storage)) == before


async def test_a_live_writer_whose_journal_was_settled_loses_nothing(storage: Storage) -> None:
    """Rule: a run that only seemed dead goes on, and what it notes later joins the part that was made meanwhile."""
    journal = await journaled(storage, entries=HISTORY[:4])
    await settle_journals(storage)
    for entry in HISTORY[4:]:
        await journal.append(entry)
    whole = await load_known(storage)
    await settle_journals(storage)
    assert facts(await load_known(storage)) == facts(whole)
    reference = fresh_storage()
    await journaled(reference)
    assert facts(whole) == facts(await load_known(reference))


async def test_stale_and_double_parts_do_no_harm(storage: Storage) -> None:
    """Rule: a part that a later run has overtaken, or that lies there twice, takes nothing back."""
    await journaled(storage)
    await settle_journals(storage)
    before = await load_known(storage)
    stale = [replace(each, outcome="pending", finished_at=105.0) for each in before.ledger() if each.job_id]
    await store_parts(storage, JournalName("plan", "00000", "w0").stem, stale, [record(Outcome.PENDING, key="aa" * 32)])
    await store_parts(storage, JournalName("plan", "00000", "w9").stem, list(before.ledger()), [])
    assert facts(await load_known(storage)) == facts(before)


async def test_files_of_others_are_left_alone(storage: Storage) -> None:
    """Rule: notes, thumbnails' indexes and the like in our folders are neither read nor deleted."""
    await journaled(storage)
    before = await load_known(storage)
    strangers = ["journal/README.md", "journal/plan/00000/.DS_Store", "attempts/notes.txt", "records/old/list.csv"]
    for path in strangers:
        await storage.write(path, b"mine")
    assert facts(await load_known(storage)) == facts(before)
    await settle_journals(storage)
    assert set(strangers) <= set(await storage.list())


async def test_a_part_that_is_no_parquet_is_named(storage: Storage) -> None:
    """Rule: a ledger that can't be read is never taken for an empty one: that would buy everything again."""
    await storage.write("attempts/plan-00000-w1.parquet", b"PAR1 and no more")
    with pytest.raises(DatasetError, match=r"attempts/plan-00000-w1\.parquet"):
        await load_known(storage)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


async def test_a_torn_last_segment_is_named_and_counts_for_nothing(storage: Storage) -> None:
    """Rule: it was never durable, so no POST was made on the strength of it."""
    await journaled(storage, entries=HISTORY[:3])
    last = (await storage.list("journal"))[-1]
    await storage.write(last, half(await storage.read(last)))
    known = await load_known(storage)
    assert known.torn_segments == (last,)
    assert {key for key, _ in known.attempts_by_post()} == {"aa" * 32, "bb" * 32}


@pytest.mark.parametrize("read", [load_known, settle_journals], ids=["read", "settle"])
async def test_a_damaged_segment_that_others_follow_stops_the_run(
    read: Callable[[Storage], object], storage: Storage
) -> None:
    """Rule: POSTs rested on it, so going on without it might buy them again; nothing is deleted."""
    await journaled(storage)
    paths = await storage.list("journal")
    await storage.write(paths[1], half(await storage.read(paths[1])))
    with pytest.raises(DatasetError, match=r"00000001\.jsonl is damaged"):
        await read(storage)  # type: ignore[misc]  # one of two coroutine functions
    assert await storage.list("journal") == paths


async def test_a_success_whose_image_a_power_loss_took_is_collected_again(tmp_path: Path) -> None:
    """Rule: an image is settled with its shard; until then a journal's word for it is checked."""
    storage = Storage.open(str(tmp_path))
    await journaled(storage, entries=[*HISTORY[:8], record(key="aa" * 32, file_name="images/aa/x.png"), HISTORY[9]])
    await settle_journals(storage)
    known = await load_known(storage)
    assert "aa" * 32 not in known.records_by_key()
    (job,) = known.attempts_by_post()["aa" * 32, 1]
    assert job.is_out


async def test_a_run_has_spent_what_its_posts_count_as(storage: Storage) -> None:
    """Rule: charged 7, an unanswered intent's bound of 7, nothing for what was refused or never taken."""
    await journaled(storage)
    known = await load_known(storage)
    assert (known.spent_by("run"), known.spent_by("another")) == (14.0, 0.0)
