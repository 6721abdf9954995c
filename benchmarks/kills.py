"""Runs that are killed at random moments and run again to their end; the sandbox's bill is the judge.

Each round makes a fresh dataset of `--rows` rows, kills one to four runs of it with SIGKILL, and lets one more come to
its end. A run is killed when it has made a random number of requests, at a random moment after its start, or just when
it stores or clears away what it knows: as its parts appear, and as journals (its own, or a killed run's) are deleted.

Then the bill is compared with the dataset. No request may be billed twice; each one billed must have its images, or be
reported as unknown; and unknown may be only what had no durable answer when a run was killed.

    python benchmarks/kills.py --rounds 20 --rows 200
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from prefect_trinetra.known import load_known
from prefect_trinetra.ledger import AttemptState
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.storage import Storage

# A run makes about this many submits, polls and downloads for a row.
REQUESTS_PER_ROW = 3.2
# Starting, planning and the first requests take about this long: a kill may come before anything was sent.
START_SECONDS = 3.0
LONGEST_RUN_SECONDS = 120.0
LOOK_SECONDS = 0.001
Condition = Callable[[], bool]


@dataclass(frozen=True)
class Verdict:
    """One round. `open` counts intents without a durable answer at the kills; the faults should all be 0."""

    kills: int
    rows: int
    succeeded: int
    billed: int
    unknown: int
    open: int
    twice: int
    lost: int
    unexplained: int
    unaccounted: int

    @property
    def is_clean(self) -> bool:
        faults = (self.twice, self.lost, self.unexplained, self.unaccounted)
        return not any(faults) and self.succeeded <= self.billed <= self.succeeded + self.unknown


@dataclass(frozen=True)
class Round:
    """A dataset in the making, and the sandbox that its images are bought from."""

    folder: Path
    sandbox: SandboxHandle
    rows: int
    flags: Sequence[str]

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    def start(self) -> subprocess.Popen[str]:
        """The command line, as a person would run it."""
        manifest = self.folder / "prompts.txt"
        manifest.write_text("".join(f"a paper boat, number {row}\n" for row in range(self.rows)))
        command = [sys.executable, "-m", "prefect_trinetra", "generate", str(manifest), str(self.dataset)]
        environment = os.environ | {"TRINETRA_API_KEY": self.sandbox.api_key, "TRINETRA_BASE_URL": self.sandbox.url}
        environment["TRINETRA_LEASE_SECONDS"] = "0.5"
        return subprocess.Popen(
            [*command, "--yes", "--json", *self.flags],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self, chance: random.Random) -> bool:
        """Starts a run and kills it at a moment of chance's choice; False if it ended before."""
        due = chance.choice([self._after_requests, self._after_seconds, self._at_parts, self._at_deletion])(chance)
        deadline = time.monotonic() + LONGEST_RUN_SECONDS
        with self.start() as process:
            while process.poll() is None and time.monotonic() < deadline and not due():
                time.sleep(LOOK_SECONDS)
            was_running = process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.communicate()
        return was_running

    def finish(self) -> None:
        """One run to its end."""
        with self.start() as process:
            _, said = process.communicate(timeout=LONGEST_RUN_SECONDS)
        if process.returncode not in {0, 1}:
            raise SystemExit(f"the last run ended with {process.returncode}:\n{said[-3000:]}")

    def open_keys(self) -> set[str]:
        """Requests with an intent and no durable answer, as the dataset has it now."""
        known = asyncio.run(load_known(Storage.open(str(self.dataset))))
        return {attempt.key for attempt in known.ledger() if attempt.state is AttemptState.OPEN}

    def _after_requests(self, chance: random.Random) -> Condition:
        target = self._requests() + chance.randint(1, int(self.rows * REQUESTS_PER_ROW))
        return lambda: self._requests() >= target

    def _requests(self) -> int:
        bill = self.sandbox.bill()
        return int(bill["submits"] + bill["polls"] + bill["downloads"])

    def _after_seconds(self, chance: random.Random) -> Condition:
        due = time.monotonic() + chance.uniform(0.0, START_SECONDS)
        return lambda: time.monotonic() >= due

    def _at_parts(self, chance: random.Random) -> Condition:
        """When some parts of attempts or records have appeared, or were written anew."""
        before, wanted = self._stamps("*s/*.parquet"), chance.randint(1, 2)
        return lambda: len(self._stamps("*s/*.parquet") - before) >= wanted

    def _at_deletion(self, chance: random.Random) -> Condition:
        """When some journal segments that were seen have gone."""
        seen: set[tuple[str, int]] = set()
        wanted = chance.randint(1, 3)

        def some_are_gone() -> bool:
            now = self._stamps("journal/*/*/*/*.jsonl")
            seen.update(now)
            return len(seen - now) >= wanted

        return some_are_gone

    def _stamps(self, pattern: str) -> set[tuple[str, int]]:
        return {(str(path), _inode(path)) for path in self.dataset.glob(pattern)}


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def one_round(rows: int, chance: random.Random, sandbox: SandboxHandle, flags: Sequence[str]) -> Verdict:
    """One dataset: killed one to four times, then run to its end."""
    sandbox.reset()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        one = Round(Path(name), sandbox, rows, flags)
        kills = 0
        unanswered: set[str] = set()
        for _ in range(chance.randint(1, 4)):
            kills += one.kill(chance)
            unanswered |= one.open_keys()
        one.finish()
        return judge(one, sandbox.bill(), kills, unanswered)


def judge(one: Round, bill: dict[str, Any], kills: int, unanswered: set[str]) -> Verdict:
    """What was bought against what is there."""
    rows = pq.read_table(one.dataset / "rows.parquet").to_pylist()
    stored = _intact_files(one.dataset)
    billed = {entry["body"]["prompt"]: entry["billed_jobs"] for entry in bill["bodies"] if entry["billed_jobs"]}
    succeeded = [row for row in rows if row["outcome"] == "succeeded"]
    unknown = [row for row in rows if row["outcome"] == "unknown"]
    named = {row["prompt"] for row in [*succeeded, *unknown]}
    return Verdict(
        kills=kills,
        rows=len(rows),
        succeeded=len(succeeded),
        billed=sum(billed.values()),
        unknown=len(unknown),
        open=len(unanswered),
        twice=sum(jobs - 1 for jobs in billed.values()),
        lost=sum(not row["files"] or not stored.issuperset(row["files"]) for row in succeeded),
        unexplained=sum(row["key"] not in unanswered for row in unknown),
        unaccounted=len(billed.keys() - named) + one.rows - len(succeeded) - len(unknown),
    )


def _intact_files(dataset: Path) -> set[str]:
    """The image files whose bytes are those that the metadata tells of."""
    metadata = pq.read_table(dataset / "metadata.parquet", columns=["file_name", "sha256"]).to_pylist()
    return {
        image["file_name"]
        for image in metadata
        if hashlib.sha256((dataset / image["file_name"]).read_bytes()).hexdigest() == image["sha256"]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--job-seconds", type=float, default=0.2)
    parser.add_argument("--shard-size", type=int, default=60)
    given = parser.parse_args()
    names = [field.name for field in fields(Verdict)]
    table = Table("round", *names)
    verdicts = []
    with running_sandbox(job_seconds=given.job_seconds, pictures="stamped", pixels=64) as sandbox:
        for number in range(given.rounds):
            chance = random.Random(f"{given.seed} {number}")  # noqa: S311  # seeded, to be repeated
            verdict = one_round(given.rows, chance, sandbox, ["--shard-size", str(given.shard_size)])
            verdicts.append(verdict)
            table.add_row(str(number), *(str(getattr(verdict, name)) for name in names))
    table.add_section()
    table.add_row("in all", *(str(sum(getattr(verdict, name) for verdict in verdicts)) for name in names))
    Console(width=120).print(table)
    sys.exit(0 if all(verdict.is_clean for verdict in verdicts) else 1)


if __name__ == "__main__":
    main()
