"""What a dataset costs by its size: seconds, rows a second and peak memory of a plan and of a rerun.

    plan          a fresh manifest, nothing recorded yet
    first rerun   everything is there, in the files that the shards of one run left, nothing published
    rerun         once more, as every night: of a finished dataset

Real prompts, each made another one by a number before it. Each measurement is a process of its own, start and imports
left out of its seconds and not of its memory. A complete dataset is written in the project's own format, without
pictures; it belongs to an address where nobody listens, so that a rerun that submits anything fails.

    python benchmarks/scale.py --prompts PartiPrompts.tsv --rows 1000 10000 100000 1000000 --s3
    python benchmarks/scale.py --rows 1000 10000 --plot docs/images/scale.svg

Exits with 1 where a million rows take more than 60 s to plan, 30 s to run again (60 s on S3), or more than 1 GB, or a
hundred thousand more than 5 s.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

# What the tests write and start, too.
sys.path.append(str(Path(__file__).parents[1] / "tests"))

from complete_dataset import NOWHERE, write_complete  # found by the line above

QUALITIES: Final = ("low", "medium", "high", "auto")
MEGABYTE: Final = 10**6
MOST_MEGABYTES: Final = 1000.0
# The most seconds by what is done and how many rows there are.
MOST_SECONDS: Final = {
    ("plan", 1_000_000): 60.0,
    ("rerun", 1_000_000): 30.0,
    ("rerun on S3", 1_000_000): 60.0,
    ("plan", 100_000): 5.0,
    ("rerun", 100_000): 5.0,
}


@dataclass(frozen=True)
class Cost:
    """Of one process: seconds of the wall and of the CPU, and the most memory it had at once."""

    seconds: float
    cpu_seconds: float
    megabytes: float


@dataclass(frozen=True)
class Measured:
    """What was done with how many rows, and what it cost."""

    work: str
    rows: int
    cost: Cost

    @property
    def is_too_much(self) -> bool:
        most = MOST_SECONDS.get((self.work, self.rows))
        return most is not None and (self.cost.seconds > most or self.cost.megabytes > MOST_MEGABYTES)


@dataclass(frozen=True)
class Setting:
    """Where a measured process finds its manifest and its dataset."""

    manifest: str
    dataset: str
    options: dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=Path, help="a TSV with a column Prompt")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--s3", action="store_true", help="also on SeaweedFS")
    parser.add_argument("--plot", type=Path, help="draw the figures into this file")
    parser.add_argument("--work", choices=sorted(WORK), help=argparse.SUPPRESS)
    parser.add_argument("--setting", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        be_measured(given.work, Setting(**given.setting))
        return
    figures = []
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        for rows in given.rows:
            for measured in measure(rows, Path(folder), given.prompts, on_s3=given.s3):
                print(f"{measured.rows:>9,} {measured.work:<18} {measured.cost.seconds:7.2f} s", file=sys.stderr)
                figures.append(measured)
    Console(width=120).print(table(figures))
    if given.plot:
        from scale_plot import plot

        plot([(each.work, each.rows, each.cost.cpu_seconds, each.cost.megabytes) for each in figures], given.plot)
    sys.exit(any(measured.is_too_much for measured in figures))


def measure(rows: int, folder: Path, prompts: Path | None, *, on_s3: bool) -> Iterator[Measured]:
    """All works with that many rows, each in a process of its own."""
    manifest = folder / f"{rows}.csv"
    write_manifest(manifest, rows, prompts)
    local = Setting(str(manifest), str(folder / f"dataset-{rows}"), {})
    yield Measured("plan", rows, cost("plan", local))
    with ExitStack() as stack:
        places = {"": local}
        if on_s3:
            from stores import seaweed

            (folder / f"s3-{rows}").mkdir()
            place = stack.enter_context(seaweed(folder / f"s3-{rows}")).new_place()
            places[" on S3"] = Setting(str(manifest), place.url, place.options)
        for where, setting in places.items():
            cost("complete", setting)
            for work in ("first rerun", "rerun"):
                yield Measured(work + where, rows, cost("rerun", setting))


def write_manifest(path: Path, rows: int, prompts: Path | None) -> None:
    """A CSV with a label, as people have them; no two prompts are alike."""
    texts = ["a lighthouse in the fog, and a boat that looks for it"]
    if prompts is not None:
        with prompts.open(newline="") as file:
            texts = [row["Prompt"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    with path.open("w", newline="") as file:
        written = csv.writer(file)
        written.writerow(["prompt", "quality", "label"])
        for row in range(rows):
            written.writerow([f"{row}. {texts[row % len(texts)]}", QUALITIES[row % 4], f"label {row % 7}"])


def cost(work: str, setting: Setting) -> Cost:
    """Of a process that does nothing else."""
    command = [sys.executable, __file__, "--work", work, "--setting", json.dumps(asdict(setting))]
    return Cost(**json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))


def be_measured(work: str, setting: Setting) -> None:
    """What the measured process does."""
    import prefect_trinetra.run  # noqa: F401  # imports are no work

    began, cpu = time.perf_counter(), time.process_time()
    WORK[work](setting)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps(asdict(Cost(seconds, cpu_seconds, peak_bytes() / MEGABYTE))))


def peak_bytes() -> int:
    """Of this process alone; what getrusage tells includes its parent's before the start."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024


def plan(setting: Setting) -> None:
    """What `prefect-trinetra plan` does."""
    from prefect_trinetra.preparation import plan_only
    from prefect_trinetra.settings import TrinetraSettings
    from prefect_trinetra.spec import RunSpec

    spec = RunSpec(setting.manifest, setting.dataset, storage_options=setting.options)
    plan_only(spec, None, TrinetraSettings())


def complete(setting: Setting) -> None:
    """Writes what a run leaves that bought everything."""
    from prefect_trinetra.loop import io_loop
    from prefect_trinetra.storage import Storage

    io_loop().run(write_complete(Storage.open(setting.dataset, setting.options), setting.manifest))


def rerun(setting: Setting) -> None:
    """What `prefect-trinetra generate` does when there is nothing left to do."""
    from prefect_trinetra.run import generate
    from prefect_trinetra.settings import TrinetraSettings
    from prefect_trinetra.spec import RunSpec

    spec = RunSpec(setting.manifest, setting.dataset, storage_options=setting.options)
    report = generate(spec, NOWHERE, TrinetraSettings())
    if report is None or report.to_buy or report.outcomes["succeeded"] != report.rows:
        sys.exit(f"not everything was there: {report}")


WORK: Final = {"plan": plan, "complete": complete, "rerun": rerun}


def table(figures: Sequence[Measured]) -> Table:
    drawn = Table("work", "rows", "seconds", "CPU s", "rows/s", "peak MB", "", box=box.MARKDOWN)
    for measured in figures:
        seconds, cpu_seconds, megabytes = asdict(measured.cost).values()
        rate = f"{measured.rows / seconds:,.0f}"
        verdict = "TOO MUCH" if measured.is_too_much else ""
        numbers = (f"{seconds:.2f}", f"{cpu_seconds:.2f}", rate, f"{megabytes:.0f}", verdict)
        drawn.add_row(measured.work, f"{measured.rows:,}", *numbers)
    return drawn


if __name__ == "__main__":
    main()
