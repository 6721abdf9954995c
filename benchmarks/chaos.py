"""Runs that are killed, starved and lied to, and run again to their end; the sandbox's bill is the judge.

Each round makes a fresh dataset. Several runs of it die by SIGKILL, at random moments and at every step of paid work
(before, half-way and after), while the provider loses answers, the storage fails or half-writes, the disk is full, the
manifest is edited and a cap binds, each in some of the rounds. Then runs come to their end until one finds nothing to
do.

In some rounds several runs work on the dataset at once, and some of them are stopped and go on later, when another has
taken their work over. Lease times are a fortieth of the real ones, or what `--lease-seconds` says.

The bill is then compared with the dataset. No request may be billed twice; each image that was billed must be there
whole, unless its request is called unknown; unknown may be only what had no durable answer when a process was killed,
or whose answer was lost; every job of the bill must be in the ledger; no run may spend more than its cap.

    python benchmarks/chaos.py --rounds 8 --rows 24
    python benchmarks/chaos.py --rounds 1 --every-step              until each step was hit
    python benchmarks/chaos.py --rounds 4 --lease-seconds 20        at the lease's real times

Exits with 1 where a law was broken.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from audit import Verdict
from decks import Deck
from mines import Moment, Place
from recipes import draw
from rich import box
from rich.console import Console
from rich.table import Table
from rounds import Round, Story

from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox

LAST_RESULT: Final = "<!-- last result -->\n"


@dataclass
class Tally:
    """All rounds so far."""

    deck: Deck = field(default_factory=Deck)
    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    posts_under_way: int = 0
    most_open: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    broken: list[str] = field(default_factory=list)

    def add(self, number: int, verdict: Verdict, story: Story) -> None:
        self.rounds += 1
        self.kills += story.killed_by
        self.posts_under_way += story.posts_under_way
        self.most_open = max(self.most_open, story.most_open)
        self.verdict += verdict
        self.broken += [f"round {number}: {law}" for law in story.broken]

    def wants_more(self, rounds: int, kills: int, *, every_step: bool) -> bool:
        """Until there were so many of each, and each step was hit if it is to be."""
        return self.rounds < rounds or self.kills.total() < kills or (every_step and bool(self.deck.never_hit))

    def bill(self) -> Table:
        """The verdicts in all."""
        table = Table("what", "how many", box=box.MARKDOWN)
        table.add_row("rounds", f"{self.rounds:,}")
        table.add_row("kills", f"{self.kills.total():,}")
        for by, kills in sorted(self.kills.items()):
            table.add_row(f"of them by {by}", f"{kills:,}")
        for each in fields(Verdict):
            table.add_row(each.name.replace("_", " "), f"{getattr(self.verdict, each.name):,}")
        table.add_row("POSTs without an answer at the kills", f"{self.posts_under_way:,}")
        table.add_row("intents open at one kill, at most", f"{self.most_open:,}")
        return table

    def steps(self) -> Table:
        """How often a mine went off at each step."""
        table = Table("step", *(moment.value for moment in Moment), box=box.MARKDOWN)
        for place in Place:
            table.add_row(place.value, *(str(self.deck.hits[place, moment] or "") for moment in Moment))
        return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8, help="datasets, at least")
    parser.add_argument("--rows", type=int, default=24, help="requests of each dataset, about")
    parser.add_argument("--kills", type=int, default=0, help="go on until so many processes were killed")
    parser.add_argument("--every-step", action="store_true", help="go on until each step was hit, if time allows")
    parser.add_argument("--write", type=Path, help="a document whose last result is replaced by this one")
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no further round after so long")
    parser.add_argument("--seed", type=int, default=0, help="what all chance derives from")
    parser.add_argument("--first", type=int, default=0, help="number of the first round, to repeat one")
    parser.add_argument(
        "--lease-seconds", type=float, default=0.5, help="after so long a silent run seems dead; in life 20"
    )
    given = parser.parse_args()
    tally, console, started = Tally(), Console(width=120), time.monotonic()
    deadline = started + 60 * given.minutes
    number = given.first
    with running_sandbox(job_seconds=0.1, pictures="stamped", pixels=32) as sandbox:
        while time.monotonic() < deadline and tally.wants_more(given.rounds, given.kills, every_step=given.every_step):
            one_round(number, given, sandbox, tally)
            number += 1
    never_hit = [f"never hit: {place.value}, {moment.value}" for place, moment in tally.deck.never_hit]
    result = (tally.bill(), "", tally.steps(), "", *(f"BROKEN: {law}" for law in tally.broken), *never_hit)
    console.print(*result, sep="\n", markup=False)
    if given.write:
        write(given.write, [*shown(result), f"{(time.monotonic() - started) / 60:.0f} minutes, seed {given.seed}."])
    sys.exit(1 if tally.broken else 0)


def shown(result: Sequence[object]) -> list[str]:
    """The lines of a result, as a document takes them."""
    console = Console(width=120, file=io.StringIO())
    with console.capture() as captured:
        console.print(*result, sep="\n", markup=False)
    return [line.rstrip() for line in captured.get().splitlines()]


def write(document: Path, lines: Sequence[str]) -> None:
    """In the place of the last result, which is the document's end."""
    before = document.read_text().partition(LAST_RESULT)[0]
    document.write_text("\n".join([before + LAST_RESULT, *lines, ""]))


def one_round(number: int, given: argparse.Namespace, sandbox: SandboxHandle, tally: Tally) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        one = Round(draw(number, given.rows, given.seed), sandbox, Path(name), tally.deck, given.lease_seconds)
        verdict = one.carry_out()
    tally.add(number, verdict, one.story)
    seconds = time.monotonic() - started
    words = ", ".join(one.story.broken) or "clean"
    print(
        f"round {number}: {one.story.kills} kills, {verdict.bought} bought, {verdict.unknown} unknown, "
        f"{seconds:.1f} s: {words}",
        flush=True,
    )


if __name__ == "__main__":
    main()
