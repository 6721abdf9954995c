"""CPU seconds that a plan of many rows takes, beside merely reading and validating them.

Real prompts, made many by a number before each; every tenth row is a duplicate, every thousandth invalid. Each round is
a fresh process, its own CPU only; the median of the rounds counts.

    python benchmarks/planning.py --prompts PartiPrompts.tsv --rows 100000

Exits with 1 where the plan takes more than 5 s of CPU a 100,000 rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

MOST_CPU_SECONDS: Final = 5.0
ROWS_OF_CONTRACT: Final = 100_000
QUALITIES: Final = ("low", "medium", "high", "auto")


def write_manifest(path: Path, prompts: list[str], rows: int) -> None:
    """A CSV with a label, as people have them."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["prompt", "quality", "label"])
        for row in range(rows):
            if row % 1000 == 999:
                table.writerow(["", "low", "empty"])
                continue
            which = row - 1 if row % 10 == 9 else row
            prompt = f"{which}. {prompts[which % len(prompts)]}"
            table.writerow([prompt, QUALITIES[which % 4], f"label {row % 7}"])


def plan(manifest: Path, folder: Path) -> None:
    """What `prefect-trinetra plan --max-credits` does."""
    from prefect_trinetra.preparation import plan_only
    from prefect_trinetra.settings import TrinetraSettings
    from prefect_trinetra.spec import RunSpec

    spec = RunSpec(str(manifest), str(folder / "dataset"), max_credits=300_000)
    plan_only(spec, None, TrinetraSettings())


def validate(manifest: Path, folder: Path) -> None:
    """The least that any tool does: read each row and check it."""
    from prefect_trinetra.request import ImageRequest

    with manifest.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["prompt"]:
                _ = ImageRequest(prompt=row["prompt"], quality=row["quality"]).body()


WORK: Final[dict[str, Callable[[Path, Path], None]]] = {"read and validate": validate, "plan": plan}


def cpu_seconds(work: str, manifest: Path) -> float:
    """Of a process of its own, its start and imports left out."""
    told = subprocess.run(
        [sys.executable, __file__, "--work", work, "--manifest", str(manifest)], capture_output=True, check=True
    )
    seconds: float = json.loads(told.stdout)
    return seconds


def be_measured(work: str, manifest: Path) -> None:
    """What the measured process does."""
    import prefect_trinetra.run  # noqa: F401  # imports are no planning

    with tempfile.TemporaryDirectory() as name:
        before = resource.getrusage(resource.RUSAGE_SELF)
        WORK[work](manifest, Path(name))
        after = resource.getrusage(resource.RUSAGE_SELF)
    print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=Path, help="a TSV with a column Prompt")
    parser.add_argument("--rows", type=int, default=ROWS_OF_CONTRACT)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", choices=list(WORK), help=argparse.SUPPRESS)
    parser.add_argument("--manifest", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        be_measured(given.work, given.manifest)
        return
    prompts = ["a lighthouse in the fog, and a boat that looks for it"]
    if given.prompts:
        with given.prompts.open(newline="") as file:
            prompts = [row["Prompt"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    table = Table("work", "rows", "CPU s", "times", box=box.MARKDOWN)
    with tempfile.TemporaryDirectory() as name:
        manifest = Path(name) / "prompts.csv"
        write_manifest(manifest, prompts, given.rows)
        seconds: dict[str, list[float]] = {work: [] for work in WORK}
        for _ in range(given.rounds):
            for work, told in seconds.items():
                told.append(cpu_seconds(work, manifest))
    least = statistics.median(seconds["read and validate"])
    for work, told in seconds.items():
        median = statistics.median(told)
        table.add_row(work, f"{given.rows:,}", f"{median:.2f}", f"{median / least:.1f}")
    Console(width=120).print(table)
    allowed = MOST_CPU_SECONDS * given.rows / ROWS_OF_CONTRACT
    sys.exit(1 if statistics.median(seconds["plan"]) > allowed else 0)


if __name__ == "__main__":
    main()
