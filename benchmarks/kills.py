"""Runs that are killed at random moments and run again to their end; the sandbox's bill is the judge.

Each round makes a fresh dataset of `--rows` rows, kills the run with SIGKILL when a random number of requests has been
made (or at a random moment after its start), and runs it again until a run ends by itself. Then the bill is compared
with the dataset: bought twice, lost, unknown, unaccounted for.

    python benchmarks/kills.py --rounds 20 --rows 200
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox

# A run of 200 quick rows makes about this many submits, polls and downloads.
REQUESTS_PER_ROW = 3.2
LONGEST_ROUND_SECONDS = 120.0


@dataclass(frozen=True)
class Verdict:
    """One round, counted in rows and jobs. Everything but `succeeded` and `bought` should be 0, or explained."""

    kills: int
    succeeded: int
    bought: int
    twice: int
    lost: int
    unknown: int
    unaccounted: int

    @property
    def is_clean(self) -> bool:
        return not (self.twice or self.lost or self.unaccounted)


def start(manifest: Path, dataset: Path, sandbox: SandboxHandle, flags: Sequence[str]) -> subprocess.Popen[str]:
    """The command line, as a person would run it."""
    command = [sys.executable, "-m", "prefect_trinetra", "generate", str(manifest), str(dataset), "--yes", "--json"]
    environment = os.environ | {"TRINETRA_API_KEY": sandbox.api_key, "TRINETRA_BASE_URL": sandbox.url}
    return subprocess.Popen(
        [*command, *flags], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def requests_made(sandbox: SandboxHandle) -> int:
    bill = sandbox.bill()
    return int(bill["submits"] + bill["polls"] + bill["downloads"])


def kill_at(process: subprocess.Popen[str], sandbox: SandboxHandle, target: int) -> bool:
    """Kills the run once the sandbox has seen `target` requests; False if it ended before."""
    deadline = time.monotonic() + LONGEST_ROUND_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if requests_made(sandbox) >= target:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            return True
    process.communicate()
    return False


def one_round(rows: int, chance: random.Random, flags: Sequence[str], **sandbox_options: Any) -> Verdict:
    """One dataset: killed one to three times, then run to its end."""
    with running_sandbox(**sandbox_options) as sandbox, tempfile.TemporaryDirectory(prefix="kills-") as name:
        manifest, dataset = Path(name) / "prompts.csv", Path(name) / "dataset"
        manifest.write_text("prompt\n" + "".join(f"a paper boat, number {row}\n" for row in range(rows)))
        kills = 0
        for _ in range(chance.randint(1, 3)):
            target = requests_made(sandbox) + chance.randint(1, int(rows * REQUESTS_PER_ROW))
            kills += kill_at(start(manifest, dataset, sandbox, flags), sandbox, target)
        last = start(manifest, dataset, sandbox, flags)
        _, errors = last.communicate(timeout=LONGEST_ROUND_SECONDS)
        if last.returncode not in {0, 1}:
            raise SystemExit(f"the last run ended with {last.returncode}:\n{errors[-3000:]}")
        return judge(dataset, sandbox.bill(), kills)


def judge(dataset: Path, bill: dict[str, Any], kills: int) -> Verdict:
    """What was bought against what is there."""
    rows = pq.read_table(dataset / "rows.parquet").to_pylist()
    outcomes = [row["outcome"] for row in rows]
    by_prompt = {row["prompt"]: row for row in rows}
    billed = {entry["body"]["prompt"]: entry["billed_jobs"] for entry in bill["bodies"] if entry["billed_jobs"]}
    lost = [
        prompt
        for prompt in billed
        if by_prompt[prompt]["outcome"] not in {"succeeded", "unknown"}
        or any(not (dataset / name).is_file() for name in by_prompt[prompt]["files"])
    ]
    return Verdict(
        kills=kills,
        succeeded=outcomes.count("succeeded"),
        bought=sum(billed.values()),
        twice=sum(jobs - 1 for jobs in billed.values()),
        lost=len(lost),
        unknown=outcomes.count("unknown"),
        unaccounted=sum(billed.values()) - sum(row["outcome"] in {"succeeded", "unknown"} for row in rows)
        if sum(billed.values()) > outcomes.count("succeeded") + outcomes.count("unknown")
        else 0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--job-seconds", type=float, default=0.2)
    parser.add_argument("--shard-size", type=int, default=80)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    flags = ["--shard-size", str(given.shard_size)]
    options = {"job_seconds": given.job_seconds, "pictures": "stamped", "pixels": 64}
    table = Table("round", "kills", "succeeded", "bought", "twice", "lost", "unknown", "unaccounted")
    verdicts = []
    for number in range(given.rounds):
        verdict = one_round(given.rows, chance, flags, **options)
        verdicts.append(verdict)
        table.add_row(str(number), *(str(value) for value in vars(verdict).values()))
    Console().print(table)
    total = {name: sum(getattr(verdict, name) for verdict in verdicts) for name in vars(verdicts[0])}
    Console().print("in all:", total)
    sys.exit(0 if all(verdict.is_clean for verdict in verdicts) else 1)


if __name__ == "__main__":
    main()
