"""What could not be stored when a process had to end comes back from its spill file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builders import attempt
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.journal import Journal, JournalName
from prefect_trinetra.known import load_known, settle_journals
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.recovery import recover_spill
from prefect_trinetra.storage import Storage

NAME = JournalName("plan", "00000", "w1")
INTENT = attempt(AttemptState.OPEN, job_id=None)
ANSWER = replace(INTENT, state=AttemptState.ACCEPTED, job_id="job-1", answered_at=101.0)
OTHER = replace(ANSWER, key="cd" * 32, job_id="job-2")


async def spilled(tmp_path: Path, storage: Storage) -> bytes:
    """The spill file of a writer whose intents are in the dataset, and the answer to the first is not."""
    elsewhere = Journal(Storage.open(str(tmp_path / "elsewhere")), NAME, spill_folder=tmp_path / "spill")
    for journal in (Journal(storage, NAME), elsewhere):
        await journal.append(INTENT)
        await journal.append(OTHER)
    elsewhere.note(ANSWER)
    file = elsewhere.spill()
    assert file is not None
    await elsewhere.flush()
    return file.read_bytes()


async def of_key(storage: Storage) -> list[Attempt]:
    return [told for told in (await load_known(storage)).ledger() if told.key == INTENT.key]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.open(str(tmp_path / "before"))


async def test_an_answer_comes_back(storage: Storage, tmp_path: Path) -> None:
    """The open POST becomes an accepted job that the next run collects."""
    data = await spilled(tmp_path, storage)
    assert [told.state for told in await of_key(storage)] == [AttemptState.OPEN]
    assert len(await recover_spill(storage, data)) == 1
    (told,) = await of_key(storage)
    assert (told.state, told.job_id) == (AttemptState.ACCEPTED, "job-1")


async def test_recovering_twice_changes_nothing(storage: Storage, tmp_path: Path) -> None:
    """The second time there is nothing that was not there."""
    data = await spilled(tmp_path, storage)
    await recover_spill(storage, data)
    before = await storage.list()
    assert await recover_spill(storage, data) == []
    assert await storage.list() == before


async def test_what_was_settled_meanwhile_stays(storage: Storage, tmp_path: Path) -> None:
    """A later run has turned the lost writer's journal into a part: recovering must not replace that part."""
    data = await spilled(tmp_path, storage)
    await settle_journals(storage)
    await recover_spill(storage, data)
    await settle_journals(storage)
    assert {told.job_id for told in (await load_known(storage)).ledger()} == {"job-1", "job-2"}


async def test_a_spill_file_that_speaks_of_other_files_is_refused(storage: Storage, tmp_path: Path) -> None:
    """Nothing outside the journal is ever written."""
    data = (await spilled(tmp_path, storage)).replace(b"journal/plan/00000/w1/", b"../")
    with pytest.raises(DatasetError, match="no journal segment"):
        await recover_spill(storage, data)


async def test_an_intent_that_was_never_durable_was_never_sent(storage: Storage, tmp_path: Path) -> None:
    """Rule: only what may have arrived is unknown; a spilled intent's row is bought by the next run as any new one."""
    journal = Journal(Storage.open(str(tmp_path / "elsewhere")), NAME, spill_folder=tmp_path / "spill")
    journal.note(INTENT)
    journal.note(OTHER)
    file = journal.spill()
    assert file is not None
    await journal.flush()
    await recover_spill(storage, file.read_bytes())
    assert [told.job_id for told in (await load_known(storage)).ledger()] == ["job-2"]
