"""The write-ahead log: what it calls durable is so, and what it could not write is not lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import attempt, record
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.journal import Journal, JournalName, new_writer, read_segment, read_spill, replay
from prefect_trinetra.ledger import AttemptState
from prefect_trinetra.storage import Storage
from troubled_store import Trouble, TroubledStore, troubled_url

NAME = JournalName("plan", "00000", "w1")
INTENT = attempt(AttemptState.OPEN, request='{"prompt":"a cat"}')
ANSWER = attempt(job_id="job-1")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.open(troubled_url(tmp_path / "dataset"))


@pytest.fixture
def trouble(storage: Storage) -> Trouble:
    return TroubledStore.trouble


@pytest.fixture
def journal(storage: Storage, tmp_path: Path) -> Journal:
    return Journal(storage, NAME, spill_folder=tmp_path / "spill", linger_seconds=0)


async def segments(storage: Storage) -> list[bytes]:
    return [await storage.read(path) for path in await storage.list("journal")]


async def test_entries_that_arrive_during_a_write_share_the_next_one(
    journal: Journal, storage: Storage, trouble: Trouble
) -> None:
    """Rule: a burst of a hundred entries costs two writes, not a hundred."""
    trouble.hold()
    first = journal.note(attempt())
    await asyncio.sleep(0)
    rest = [journal.note(attempt(attempt=number)) for number in range(2, 101)]
    trouble.let_go()
    await asyncio.gather(first, *rest)
    read = [read_segment(data) or [] for data in await segments(storage)]
    assert [len(entries) for entries in read] == [1, 99]


async def test_entries_of_one_moment_share_a_segment(storage: Storage) -> None:
    """Rule: an entry lingers a little, so that those which come close together cost one write."""
    journal = Journal(storage, NAME)
    await asyncio.gather(*(journal.append(attempt(attempt=number)) for number in range(1, 51)))
    assert len(await segments(storage)) == 1


async def test_nothing_is_reported_durable_before_it_is(journal: Journal, storage: Storage, trouble: Trouble) -> None:
    """Rule: who awaits an entry goes on only when a reader would find it."""
    trouble.hold()
    noted = journal.note(INTENT)
    later = asyncio.create_task(journal.append(ANSWER))
    await asyncio.sleep(0)
    assert not noted.done()
    assert await segments(storage) == []
    trouble.let_go()
    await later
    assert len(await segments(storage)) == 2


async def test_a_failed_write_is_repeated_with_the_same_bytes_and_name(
    journal: Journal, storage: Storage, trouble: Trouble
) -> None:
    trouble.fails = lambda number: number == 0
    await journal.append(INTENT)
    assert trouble.tried[0] == trouble.tried[1]
    assert await storage.list("journal") == [f"{NAME.folder}/00000000.jsonl"]


async def test_an_entry_is_not_durable_while_its_write_fails(journal: Journal, trouble: Trouble) -> None:
    """Rule: no POST rests on an intent that is not stored, however long the store is away."""
    trouble.fails = lambda _: True
    noted = journal.note(INTENT)
    await asyncio.to_thread(trouble.failed.wait)
    assert not noted.done()
    trouble.fails = lambda _: False
    await noted


async def test_a_cancelled_waiter_does_not_cancel_the_write(
    journal: Journal, storage: Storage, trouble: Trouble
) -> None:
    trouble.hold()
    waiter = asyncio.create_task(journal.append(INTENT))
    await asyncio.sleep(0)
    waiter.cancel()
    trouble.let_go()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await journal.flush()
    assert len(await segments(storage)) == 1


async def test_segments_read_back_in_order_fold_into_the_last_word(journal: Journal, storage: Storage) -> None:
    """Rule: an answer replaces its intent and keeps the request that only the intent carried."""
    for entry in (INTENT, ANSWER, record(finished_at=1.0), record(finished_at=2.0)):
        await journal.append(entry)
    told = replay(entries for data in await segments(storage) if (entries := read_segment(data)))
    assert [(each.job_id, each.request) for each in told.attempts] == [("job-1", INTENT.request)]
    assert told.records == [record(finished_at=2.0)]


async def test_an_entry_of_an_unknown_kind_is_named() -> None:
    """Rule: what a newer version wrote is never passed over in silence."""
    with pytest.raises(DatasetError, match=r"promise.*upgrade"):
        replay([[{"promise": {}}]])


@given(st.data())
def test_a_segment_that_lacks_any_byte_of_its_entries_is_torn(chance: st.DataObject) -> None:
    """Law: cut or changed anywhere, it reads as torn, never as other entries."""
    whole = asyncio.run(_one_segment())
    place = chance.draw(st.integers(0, len(whole) - 2))
    assert read_segment(whole) is not None
    assert read_segment(whole[:place]) is None
    changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    assert read_segment(changed) is None


async def _one_segment() -> bytes:
    storage = Storage.open(f"memory://segment-{new_writer()}")
    journal = Journal(storage, NAME)
    journal.note(INTENT)
    await journal.append(record())
    return (await segments(storage))[0]


async def test_discard_deletes_this_writers_segments_only(journal: Journal, storage: Storage) -> None:
    other = Journal(storage, JournalName("plan", "00000", "w2"))
    await journal.append(INTENT)
    await other.append(INTENT)
    await journal.discard()
    assert await storage.list("journal") == [f"{other.name.folder}/00000000.jsonl"]


async def test_closing_in_time_leaves_no_spill(journal: Journal, tmp_path: Path) -> None:
    journal.note(INTENT)
    assert await journal.close(patience_seconds=30.0)
    assert journal.spill() is None
    assert not (tmp_path / "spill").exists()


async def test_what_no_patience_could_store_goes_to_a_spill_file_that_reads_back(
    journal: Journal, trouble: Trouble, tmp_path: Path
) -> None:
    """Rule: an answer that could not be made durable is in a local file, under the names of its segments."""
    await journal.append(INTENT)
    trouble.fails = lambda _: True
    noted = journal.note(ANSWER)
    await asyncio.to_thread(trouble.failed.wait)
    journal.note(record())
    assert not await journal.close(patience_seconds=0.0)
    spilled = read_spill((tmp_path / "spill" / f"{NAME.stem}.jsonl").read_bytes())
    assert list(spilled) == [f"{NAME.folder}/00000001.jsonl", f"{NAME.folder}/00000002.jsonl"]
    told = replay(entries for data in spilled.values() if (entries := read_segment(data)))
    assert (told.attempts, told.records) == ([ANSWER], [record()])
    assert noted.exception() is not None


async def test_a_torn_spill_file_is_refused(journal: Journal, trouble: Trouble, tmp_path: Path) -> None:
    trouble.fails = lambda _: True
    journal.note(ANSWER)
    await asyncio.to_thread(trouble.failed.wait)
    await journal.close(patience_seconds=0.0)
    data = (tmp_path / "spill" / f"{NAME.stem}.jsonl").read_bytes()
    with pytest.raises(DatasetError, match="no whole spill file"):
        read_spill(data[:-20])


def test_a_path_below_the_journal_names_its_writer() -> None:
    assert JournalName.of_segment(f"{NAME.folder}/00000003.jsonl") == NAME
    assert JournalName.of_segment("journal/notes.txt") is None
    assert JournalName.of_segment(f"{NAME.folder}/00000003.jsonl.bak") is None
