"""One dataset in the making: some short lives of its runs, what they meet, and runs to the end."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Final

from audit import Evidence, Verdict, audit, open_keys, recover
from decks import Deck
from disks import SmallDisk, small_disk
from recipes import MAX_CONNECTIONS, Recipe, Row
from victims import End, Life, Victim, in_child, start, start_command, wait_for

from prefect_trinetra.prices import price_bound
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.sandbox.faults import Faults
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.spec import RunSpec

# Far above what any life takes: only one that hangs reaches it.
LONGEST_LIFE_SECONDS: Final = 120.0
LONGEST_JOB_SECONDS: Final = 30.0
# Failed jobs are tried three times in all; the last run is to find nothing to do.
MOST_LAST_RUNS: Final = 6
MINED_SHARE: Final = 0.75
# What the command line's interpreter takes before it plans.
COMMAND_START_SECONDS: Final = 1.0
NO_FAULTS: Final = dict.fromkeys(Faults.model_fields, 0.0)
# A dead run's work is taken over after nearly twice the lease's seconds; the next run waits for that.
LEASES_OF_A_LIFE: Final = 10
SETTINGS: Final = TrinetraSettings(
    submit_timeout_seconds=2.0,
    poll_timeout_seconds=5.0,
    download_timeout_seconds=10.0,
    max_connections=MAX_CONNECTIONS,
)


@dataclass
class Story:
    """What happened in one round, apart from the dataset it led to."""

    kills: int = 0
    killed_by: Counter[str] = field(default_factory=Counter)
    most_open: int = 0
    """Intents without a durable answer at one kill, at most."""
    posts_under_way: int = 0
    """POSTs without an answer at the kills."""
    broken: list[str] = field(default_factory=list)
    """Laws that do not hold, in words."""


@dataclass
class Round:
    """A dataset in the making, the sandbox that its images are bought from, and what was seen of it so far."""

    recipe: Recipe
    sandbox: SandboxHandle
    folder: Path
    deck: Deck
    lease_seconds: float
    disk: SmallDisk | None = None
    story: Story = field(default_factory=Story)
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def longest_life(self) -> float:
        """In seconds; only a run that hangs takes longer."""
        return LONGEST_LIFE_SECONDS + LEASES_OF_A_LIFE * self.lease_seconds

    @property
    def dataset(self) -> Path:
        return (self.disk.folder if self.disk else self.folder) / "dataset"

    def carry_out(self) -> Verdict:
        """Every life, the runs to the end, the verdict."""
        self.sandbox.reset()
        self.sandbox.set_faults(**{**NO_FAULTS, **self.recipe.faults})
        with ExitStack() as stack:
            if self.recipe.has_full_disk:
                self.disk = stack.enter_context(small_disk(self.folder / "disk"))
            for number in range(len(self.recipe.manifests) - 1):
                self._lives(number)
            self.sandbox.set_faults(**NO_FAULTS)
            self._to_the_end()
            self.evidence.bill = self._settled_bill()
            verdict = in_child(partial(audit, self.dataset, self.evidence))
        self.story.broken += verdict.broken
        return verdict

    def _lives(self, number: int) -> None:
        """Some runs beside each other, each with a fate of its own."""
        manifest = self.recipe.manifests[number]
        victims = [self._born(number, process, manifest) for process in range(self.recipe.processes)]
        if not wait_for(victims, self.longest_life, self._ended):
            self.story.broken.append(f"a run hung in life {number}")
        if self.disk:
            self.disk.clear()
        in_child(partial(recover, self.dataset, self.folder / "spill"))

    def _born(self, number: int, process: int, manifest: Sequence[Row]) -> Victim:
        chance = self.recipe.chance("fate", number, process)
        run_id = f"{self.recipe.number}-{0 if self.recipe.keeps_run_id else number}-{process}"
        life = self._life(run_id, f"{number}-{process}", manifest)
        is_new = not (self.dataset / "dataset.json").exists()
        due = chance.uniform(0.0, 0.3 + 0.015 * len(manifest))
        if self.recipe.by_command_line:
            victim = start_command(life)
            due += COMMAND_START_SECONDS
        else:
            mine = None
            if chance.random() < MINED_SHARE:
                size = self.recipe.limits.shard_size
                mine = self.deck.deal(chance, rows=len(manifest), shard_size=size, is_new=is_new)
                due = self.longest_life
            victim = start(replace(life, mine=mine, weather=self.recipe.weather(number, process)))
        victim.plan(due, partial(victim.send, SIGKILL))
        if self.recipe.is_stopped:
            stopped = chance.uniform(0.0, 0.3 + 0.015 * len(manifest))
            victim.plan(stopped, partial(victim.send, SIGSTOP))
            victim.plan(stopped + self.lease_seconds * chance.choice([0.5, 2.0, 4.0]), partial(victim.send, SIGCONT))
        if self.disk:
            self.disk.fill(chance.randint(0, 400_000))
            victim.plan(chance.uniform(0.2, 2.0), self.disk.clear)
        return victim

    def _life(self, run_id: str, name: str, manifest: Sequence[Row], *, is_last: bool = False) -> Life:
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in manifest))
        cap = None
        if self.recipe.cap_share is not None and not is_last:
            cap = self.evidence.caps.setdefault(run_id, self.recipe.cap_share * _bound(manifest) * self.recipe.samples)
        spec = RunSpec(
            str(path),
            str(self.dataset),
            samples=self.recipe.samples,
            limits=self.recipe.limits,
            max_credits=cap,
            tolerated_failures=1.0,
        )
        account = Account.of(self.sandbox.api_key, self.sandbox.url)
        settings = SETTINGS.model_copy(update={"lease_seconds": self.lease_seconds})
        return Life(spec, account, settings, run_id, name, self.folder)

    def _ended(self, victim: Victim) -> None:
        """Takes down what a process left behind."""
        diary = victim.read_diary()
        self.evidence.unanswered |= diary.unanswered
        if diary.mine is not None:
            self.deck.hits[diary.mine] += 1
        match victim.end:
            case End.KILLED:
                self._killed(victim, under_way=diary.under_way, by="mine" if diary.mine else "moment")
            case End.DONE:
                pass
            case End.BROKEN_OFF if self.recipe.is_stormy or self.disk or self.recipe.processes > 1:
                pass  # by its storage, or by another run that took its work over
            case end:
                self.story.broken.append(f"a run ended with {end}: {victim.last_words()}")

    def _killed(self, victim: Victim, *, under_way: int, by: str) -> None:
        self.story.kills += 1
        self.story.killed_by[by] += 1
        self.story.posts_under_way += under_way
        found = in_child(partial(open_keys, self.dataset, None if self.recipe.by_command_line else victim.life.run_id))
        new = found - self.evidence.open_keys
        self.evidence.open_keys |= found
        self.story.most_open = max(self.story.most_open, len(new))
        if len(new) > self.recipe.posts_at_once:
            self.story.broken.append(f"a kill left {len(new)} intents open, and {self.recipe.posts_at_once} may be")

    def _to_the_end(self) -> None:
        """Runs until one of them finds nothing to do: that is free."""
        manifest = self.recipe.manifests[-1]
        self.evidence.rows = len(manifest) * self.recipe.samples
        for number in range(MOST_LAST_RUNS):
            before = self.sandbox.bill()["submits"]
            name = f"{self.recipe.number}-last-{number}"
            victim = start(self._life(name, name, manifest, is_last=True))
            if not wait_for([victim], self.longest_life) or victim.end != End.DONE:
                self.story.broken.append(f"a last run ended with {victim.end}: {victim.last_words()}")
                return
            if self.sandbox.bill()["submits"] == before:
                return
        self.story.broken.append(f"{MOST_LAST_RUNS} runs to the end, and the last one still bought")

    def _settled_bill(self) -> dict[str, object]:
        """The bill once every job has ended, also those that nobody knows of."""
        deadline = time.monotonic() + LONGEST_JOB_SECONDS
        while True:
            bill = self.sandbox.bill()
            if not any(job["status"] in {"queued", "processing"} for job in bill["jobs"]):
                return bill
            if time.monotonic() > deadline:
                raise SystemExit("the sandbox's jobs do not end")
            time.sleep(0.02)


def _bound(manifest: Sequence[Row]) -> float:
    """What the rows cost at most, in credits."""
    return sum(price_bound(ImageRequest(**row), {}) for row in manifest if row["prompt"])
