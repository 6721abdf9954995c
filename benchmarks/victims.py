"""Runs in processes of their own, forked from this one, which has imported everything and has no thread."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final, TypeVar

from minefield import Minefield
from mines import Mine, Moment, Place, Step, Weather

from prefect_trinetra.errors import TooManyFailures, TrinetraError
from prefect_trinetra.loop import io_loop
from prefect_trinetra.run import generate
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.spec import RunSpec

T = TypeVar("T")

LOOK_SECONDS: Final = 0.001
# Enough of a log for the error at its end.
LAST_WORDS: Final = 3000


class End(IntEnum):
    """How a run's process ended: its exit status."""

    DONE = 0
    BROKEN_OFF = 3
    """An error that the product raises on purpose."""
    CRASHED = 4
    """Any other error: a defect."""
    KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Life:
    """One run as it is to be lived."""

    spec: RunSpec
    account: Account
    settings: TrinetraSettings
    run_id: str
    name: str
    """Of its files, and no other life's."""
    folder: Path
    """Where its diary, its log and its spill files go: not the dataset."""
    mine: Mine | None = None
    weather: Weather | None = None

    @property
    def diary(self) -> Path:
        return self.folder / f"{self.name}.diary"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def spill_folder(self) -> Path:
        return self.folder / "spill"


@dataclass(frozen=True)
class Diary:
    """What a process wrote down of its POSTs, and which mine it stepped on."""

    mine: Step | None
    unanswered: set[str]
    """Idempotency keys of POSTs that nobody knows the outcome of, though their process lived on."""
    under_way: int
    """POSTs that had no answer of any kind when it died."""

    @classmethod
    def read(cls, path: Path) -> Diary:
        told: dict[str, list[str]] = {"post": [], "answer": [], "unanswered": [], "mine": []}
        for line in path.read_text().splitlines() if path.exists() else ():
            kind, _, text = line.partition(" ")
            told[kind].append(text)
        mine = None
        if told["mine"]:
            place, moment = told["mine"][-1].split()
            mine = Place[place], Moment[moment]
        under_way = len(told["post"]) - len(told["answer"]) - len(told["unanswered"])
        return cls(mine, set(told["unanswered"]), under_way)


@dataclass
class Victim:
    """A run's process, and what is done to it at which moment of the monotonic clock."""

    pid: int
    life: Life
    events: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    end: int | None = None

    def happen(self) -> None:
        """Lets what is due happen to it, and notices its end."""
        while self.end is None and self.events and self.events[0][0] <= time.monotonic():
            self.events.pop(0)[1]()
        pid, status = os.waitpid(self.pid, os.WNOHANG) if self.end is None else (0, 0)
        if pid:
            self.end = os.waitstatus_to_exitcode(status)

    def plan(self, seconds: float, event: Callable[[], None]) -> None:
        self.events.append((time.monotonic() + seconds, event))
        self.events.sort(key=lambda event: event[0])

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def read_diary(self) -> Diary:
        return Diary.read(self.life.diary)

    def last_words(self) -> str:
        return self.life.log.read_text(errors="replace")[-LAST_WORDS:].strip() if self.life.log.exists() else ""


def start(life: Life) -> Victim:
    """The run, in a child of this process."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return Victim(pid, life)
    status = End.CRASHED
    try:
        status = _live(life)
    except BaseException:  # noqa: BLE001  # written down, and told by the exit status
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _live(life: Life) -> End:
    log = os.open(life.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    diary = os.open(life.diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    Minefield(Path(life.spec.dataset), life.spill_folder, diary, life.mine, life.weather).lay()
    try:
        with contextlib.suppress(TooManyFailures):
            generate(life.spec, life.account, life.settings, run_id=life.run_id)
        return End.DONE
    except TrinetraError:
        traceback.print_exc()
        return End.BROKEN_OFF
    finally:
        io_loop().close()


def start_command(life: Life) -> Victim:
    """The same run as a person would start it, in an interpreter of its own: no mines lie there."""
    command = [sys.executable, "-m", "prefect_trinetra", "generate", str(life.spec.manifest), life.spec.dataset]
    environment = os.environ | {
        "HOME": str(life.folder),
        "TRINETRA_API_KEY": life.account.api_key.get_secret_value(),
        "TRINETRA_BASE_URL": life.account.base_url,
        "TRINETRA_LEASE_SECONDS": str(life.settings.lease_seconds),
    }
    log = (os.POSIX_SPAWN_OPEN, 2, str(life.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    quiet = (os.POSIX_SPAWN_DUP2, 2, 1)
    pid = os.posix_spawn(
        sys.executable, [*command, "--yes", *_flags(life.spec)], environment, file_actions=[log, quiet]
    )
    return Victim(pid, life)


def _flags(spec: RunSpec) -> list[str]:
    wanted = {
        "samples": spec.samples,
        "max-credits": spec.max_credits,
        "tolerated-failures": spec.tolerated_failures,
        "jobs-in-flight": spec.limits.jobs_in_flight,
        "shard-size": spec.limits.shard_size,
        "requests-per-minute": spec.limits.requests_per_minute,
    }
    return [f"--{name}={value}" for name, value in wanted.items() if value is not None]


def wait_for(victims: Sequence[Victim], seconds: float, at_end: Callable[[Victim], None] = lambda _: None) -> bool:
    """Lets everything happen until all have ended; False if that took longer: then they are killed."""
    deadline = time.monotonic() + seconds
    living = list(victims)
    while living and time.monotonic() < deadline:
        for victim in [*living]:
            victim.happen()
            if victim.end is not None:
                living.remove(victim)
                at_end(victim)
        time.sleep(LOOK_SECONDS)
    for victim in living:
        victim.send(signal.SIGKILL)
        os.waitpid(victim.pid, 0)
    return not living


def in_child(work: Callable[[], T]) -> T:
    """What `work()` returns, made in a forked process: whatever threads it starts, this one stays without."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BrokenPipeError):
            _tell(writing, work)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    if not told:
        raise SystemExit("a child that was to look at a dataset broke off: see above")
    result: T = pickle.loads(told)  # noqa: S301  # from our own child
    return result


def _tell(writing: int, work: Callable[[], T]) -> None:
    try:
        told = pickle.dumps(work())
    except BaseException:  # noqa: BLE001  # the parent stops without an answer
        traceback.print_exc()
        return
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(told)
