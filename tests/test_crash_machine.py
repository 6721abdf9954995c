"""Runs that begin, buy, die, seem dead and come back, in any order: journal, records and lease against the bill.

The product's own journal, parts, lease and decisions, on a disk in memory whose user dies between two of its calls, or
in the middle of a write. Time is made up. What a run does step by step is in the rules; hypothesis puts them in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from builders import attempt, record
from prefect_trinetra.claim import Claim, forget_older
from prefect_trinetra.errors import DatasetBusy
from prefect_trinetra.holdings import LeaseTimes
from prefect_trinetra.journal import Journal, JournalName, new_writer
from prefect_trinetra.known import load_known, settle_journals
from prefect_trinetra.lease import DATASET_SCOPE, Fence, Lease
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.parts import store_parts
from prefect_trinetra.records import Record
from prefect_trinetra.standing import Action, Rules, decide
from prefect_trinetra.storage import Storage

pytestmark = pytest.mark.slow

T = TypeVar("T")

KEYS = [letter * 64 for letter in "abcde"]
RULES = Rules(frozenset({Outcome.FAILED}), max_attempts=3)
TIMES = LeaseTimes(20.0)
MOST_PROCESSES = 4
# How often the loop turns before what is under way is held to wait for the clock.
TURNS = 40


class DiedError(BaseException):
    """The process is no more: not an error that anybody handles."""


class OneThread(asyncio.SelectorEventLoop):
    """A loop that does at once what should be done in another thread: each example is the same each time."""

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # it belongs to who waits for it
            done.set_exception(error)
        return done


class MadeUpClock:
    """Time that goes on only when it is told to."""

    def __init__(self) -> None:
        self.time = 0.0
        self._numbers = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.time + seconds, next(self._numbers), future))
        await future

    def leap(self) -> None:
        """To the next thing that is due."""
        if self._sleepers:
            due, _, future = heapq.heappop(self._sleepers)
            self.time = max(self.time, due)
            if not future.done():
                future.set_result(None)


@dataclass
class MortalDisk:
    """One process's way to the disk. After `calls_left` calls it is dead, a write being cut in half."""

    contents: dict[str, bytes]
    calls_left: float = float("inf")

    @property
    def is_dead(self) -> bool:
        return self.calls_left <= 0

    def call(self, half: str | None = None, data: bytes = b"") -> None:
        was_alive = not self.is_dead
        self.calls_left -= 1
        if not self.is_dead:
            return
        if half is not None and was_alive:
            self.contents[f"{half}.{len(data)}.part-written"] = data[: len(data) // 2]
        raise DiedError

    async def read(self, path: str) -> bytes:
        self.call()
        if path not in self.contents:
            raise FileNotFoundError(path)
        return self.contents[path]

    async def write(self, path: str, data: bytes, *, durable: bool) -> None:
        self.call(path, data)
        self.contents[path] = data

    async def create(self, path: str, data: bytes) -> bool:
        self.call(path, data)
        return self.contents.setdefault(path, data) is data

    async def creates_exclusively(self, path: str) -> bool:
        return True

    async def sizes(self, folder: str) -> dict[str, int]:
        self.call()
        found = {path: len(data) for path, data in self.contents.items() if path.startswith(f"{folder}/")}
        return {path: size for path, size in found.items() if not path.endswith(".part-written")}

    async def exists(self, path: str) -> bool:
        self.call()
        return path in self.contents

    async def delete(self, path: str) -> None:
        self.call()
        self.contents.pop(path, None)

    async def settle(self, paths: Sequence[str]) -> None:
        self.call()

    async def intact(self, path: str, sha256: str) -> bool:
        return await self.exists(path)

    async def upload(self, local_path: Path, path: str) -> None:
        raise NotImplementedError

    async def download(self, path: str, local_path: Path) -> None:
        raise NotImplementedError


@dataclass
class Process:
    """One run: what it holds, what it means to buy, and how far each order has come."""

    disk: MortalDisk
    storage: Storage
    lease: Lease
    journal: Journal
    to_buy: set[str]
    to_collect: dict[str, Attempt]
    intents: dict[str, Attempt] = field(default_factory=dict)
    answers: dict[str, Attempt] = field(default_factory=dict)
    """What the provider said, until the journal has it."""
    accepted: dict[str, Attempt] = field(default_factory=dict)
    ended: list[Attempt] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    is_awake: bool = True


class Runs(RuleBasedStateMachine):
    """A dataset, a provider, and the runs between them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = OneThread()
        self.clock = MadeUpClock()
        self.contents: dict[str, bytes] = {}
        self.bill: Counter[str] = Counter()
        """Jobs by request: what was really bought."""
        self.jobs: dict[str, str] = {}
        self.durable: set[str] = set()
        """Requests whose image was stored and recorded while their run lived."""
        self.processes: list[Process] = []
        self._numbers = count(1)

    # What a process does

    def _do(self, disk: MortalDisk, work: Coroutine[Any, Any, T]) -> T | None:
        """Lets a process work until it is done or dies; None where it died."""
        task = self.loop.create_task(work)
        for _ in range(10_000):
            self.loop.run_until_complete(self._turn(task))
            if task.done() or disk.is_dead:
                break
            self.clock.leap()
        if disk.is_dead:
            task.cancel()
            self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            self._bury(disk)
            return None
        return task.result()

    async def _turn(self, task: asyncio.Task[Any]) -> None:
        for _ in range(TURNS):
            if task.done():
                return
            await asyncio.sleep(0)

    def _bury(self, disk: MortalDisk) -> None:
        for process in [each for each in self.processes if each.disk is disk]:
            self._silence(process)
            self.processes.remove(process)

    def _silence(self, process: Process) -> None:
        beating = process.lease._beating  # there is no way to ask a process to die
        if beating is not None:
            beating.cancel()
            with contextlib.suppress(BaseException):
                self.loop.run_until_complete(asyncio.gather(beating, return_exceptions=True))

    @initialize()
    def begin_first(self) -> None:
        self.begin(float("inf"), is_patient=False)

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """One rule for all: else hypothesis would leave out most kinds of what can happen in most of its examples."""
        calls = st.one_of(st.just(float("inf")), st.integers(1, 40))
        awake = [each for each in self.processes if each.is_awake]
        asleep = [each for each in self.processes if not each.is_awake]
        happenings = ["time passes"]
        happenings += ["begin"] * (len(self.processes) < MOST_PROCESSES) + ["wake"] * (2 * bool(asleep))
        happenings += (["work"] * 6 + ["overtake"] * 2 + ["close", "doom", "stop"]) * bool(awake)
        match data.draw(st.sampled_from(happenings)):
            case "begin":
                self.begin(data.draw(calls), is_patient=data.draw(st.booleans()))
            case "overtake":
                self.overtake(data.draw(calls))
            case "work":
                self.work(data, data.draw(st.sampled_from(awake)), steps=data.draw(st.integers(1, 8)))
            case "close":
                self.close(data.draw(st.sampled_from(awake)), lets_go=data.draw(st.booleans()))
            case "doom":
                self.doom(data.draw(st.sampled_from(awake)), calls=data.draw(st.integers(0, 6)))
            case "stop":
                self.stop(data.draw(st.sampled_from(awake)))
            case "wake":
                self.wake(data.draw(st.sampled_from(asleep)))
            case _:
                self.time_passes(data.draw(st.integers(1, 30)))

    def begin(self, calls: float, *, is_patient: bool) -> None:
        """A run takes the dataset, clears up behind the dead, and plans."""
        disk = MortalDisk(self.contents, calls)
        storage = Storage(disk, "/dataset", "memory-of-the-test", [])
        is_held = any(each.is_awake and not each.lease.watch.lost for each in self.processes)
        number = next(self._numbers)
        self._do(disk, self._begin(disk, storage, number, wait=is_patient and not is_held))

    async def _begin(self, disk: MortalDisk, storage: Storage, number: int, *, wait: bool) -> None:
        claim = Claim(storage, DATASET_SCOPE, f"run-{number}", TIMES, self.clock)
        try:
            lease = await claim.take(wait=wait)
        except DatasetBusy:
            return
        try:
            await settle_journals(storage)
            known = await load_known(storage)
            await forget_older(storage, lease)
        except BaseException:
            if lease._beating is not None:  # it dies with its process
                lease._beating.cancel()
            raise
        records = known.records_by_key()
        standings = {key: decide(records.get(key, ()), self._of(known.ledger(), key), RULES) for key in KEYS}
        self.processes.append(
            Process(
                disk,
                storage,
                lease,
                Journal(storage, JournalName(f"plan-{number}", "00000", new_writer()), linger_seconds=0),
                {key for key, standing in standings.items() if standing.action is Action.BUY},
                {key: standing.job for key, standing in standings.items() if standing.job is not None},
            )
        )

    @staticmethod
    def _of(ledger: Any, key: str) -> list[Attempt]:
        return [each for each in ledger if each.key == key]

    def overtake(self, calls: float) -> None:
        """Whoever holds the dataset is stopped, and the next run waits until it looks dead."""
        for each in self.processes:
            if each.is_awake and not each.lease.watch.lost:
                self.stop(each)
        self.begin(calls, is_patient=True)

    def work(self, data: st.DataObject, process: Process, *, steps: int) -> None:
        """Some steps of some rows, in any order that a row allows."""
        for _ in range(steps):
            choices: list[tuple[str, str]] = [
                *(("order", key) for key in sorted(process.to_buy)),
                *(("post", key) for key in sorted(process.intents)),
                *(("post unheard", key) for key in sorted(process.intents)),
                *(("hear", key) for key in sorted(process.answers)),
                *(("finish", key) for key in sorted({*process.accepted, *process.to_collect})),
            ]
            if not choices or process.disk.is_dead:
                return
            self._step(process, *data.draw(st.sampled_from(choices)))

    def _step(self, process: Process, step: str, key: str) -> None:
        match step:
            case "order":
                self._do(process.disk, self._order(process, key))
            case "hear":
                self._do(process.disk, self._hear(process, key))
            case "finish":
                self._do(process.disk, self._finish(process, key))
            case _:
                self._do(process.disk, self._post(process, key, is_heard=step == "post"))

    async def _order(self, process: Process, key: str) -> None:
        """The intent is made durable, if the lease still holds."""
        process.to_buy.remove(key)
        if not await Fence([process.lease.watch]).holds():
            return
        name = process.journal.name
        intent = attempt(AttemptState.OPEN, key=key, plan_id=name.plan_id, shard=name.shard, writer=name.writer)
        await process.journal.append(intent)
        process.intents[key] = intent

    async def _post(self, process: Process, key: str, *, is_heard: bool) -> None:
        """The provider takes the order, if the lease still holds; the answer may get lost."""
        intent = process.intents.pop(key)
        if not await Fence([process.lease.watch]).holds():
            process.answers[key] = replace(intent, state=AttemptState.VOID, answered_at=self.clock.now())
            return
        job_id = f"job-{len(self.jobs)}"
        self.jobs[job_id] = key
        self.bill[key] += 1
        state, told = (AttemptState.ACCEPTED, job_id) if is_heard else (AttemptState.UNKNOWN, None)
        process.answers[key] = replace(intent, state=state, job_id=told, answered_at=self.clock.now())

    async def _hear(self, process: Process, key: str) -> None:
        """The answer is made durable."""
        answer = process.answers.pop(key)
        await process.journal.append(answer)
        if answer.state is AttemptState.ACCEPTED:
            process.accepted[key] = answer
        else:
            process.ended.append(answer)

    async def _finish(self, process: Process, key: str) -> None:
        """A job's image is stored, then told of: one's own, or one that an earlier run left."""
        job = process.accepted.pop(key, None) or process.to_collect.pop(key)
        name = f"images/{key[:2]}/{key}-0.png"
        await process.storage.write(name, job.key.encode())
        told = record(key=key, file_name=name, sha256=key, attempt=job.attempt, finished_at=self.clock.now())
        ended = replace(job, outcome="succeeded", finished_at=self.clock.now(), credits_charged=7.0)
        process.records.append(told)
        process.ended.append(ended)
        process.journal.note(told)
        await process.journal.append(ended)
        self.durable.add(key)

    def close(self, process: Process, *, lets_go: bool) -> None:
        """A run that has nothing open stores its parts, clears its journal away, and lets go of the dataset."""
        if process.intents or process.answers:
            return
        self._do(process.disk, self._close(process, lets_go=lets_go))
        if lets_go and process in self.processes:
            self.processes.remove(process)

    async def _close(self, process: Process, *, lets_go: bool) -> None:
        if not process.accepted:
            await store_parts(process.storage, process.journal.name.stem, process.ended, process.records)
            await process.journal.discard()
        process.to_buy.clear()
        if lets_go:
            await process.lease.release()

    # What happens to a process

    def doom(self, process: Process, *, calls: int) -> None:
        """SIGKILL, now or in the middle of one of the next calls."""
        process.disk.calls_left = calls
        if process.disk.is_dead:
            self._bury(process.disk)

    def stop(self, process: Process) -> None:
        """SIGSTOP: no sign of life any more, and nothing is forgotten."""
        self._silence(process)
        process.is_awake = False

    def wake(self, process: Process) -> None:
        """SIGCONT, whatever has happened meanwhile."""
        process.is_awake = True
        self.loop.run_until_complete(self._keep_alive(process))

    async def _keep_alive(self, process: Process) -> None:
        process.lease.keep_alive()

    def time_passes(self, leaps: int) -> None:
        for _ in range(leaps):
            self.clock.leap()
            self.loop.run_until_complete(self._idle())

    async def _idle(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    # What always holds

    @invariant()
    def nothing_is_bought_twice(self) -> None:
        assert [key for key, jobs in self.bill.items() if jobs > 1] == []

    def teardown(self) -> None:
        """Everybody dies, and one last run looks at what is there."""
        for process in [*self.processes]:
            process.disk.calls_left = 0
            self._bury(process.disk)
        disk = MortalDisk(self.contents)
        storage = Storage(disk, "/dataset", "memory-of-the-test", [])
        self._do(disk, self._begin(disk, storage, next(self._numbers), wait=True))
        last = self.processes[-1]
        assert not last.to_buy & self.bill.keys(), "what was bought would be bought again"
        known = self.loop.run_until_complete(load_known(storage))
        for job_id, key in self.jobs.items():
            told = self._of(known.ledger(), key)
            assert any(each.job_id == job_id or (each.job_id is None and each.may_have_cost) for each in told), (
                f"{job_id} is on the bill and not in the ledger"
            )
        records = known.records_by_key()
        for key in self.durable:
            assert [each.outcome for each in records[key]] == [Outcome.SUCCEEDED], f"{key} was stored, and is lost"
        self._bury(disk)
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(self._idle())
        self.loop.close()


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
