"""One long run against the sandbox: does it get slower, or larger, the longer it goes on?

The run is cut into tenths of its images; of each it prints images a second, CPU per image and the memory of the process
at its end. The sandbox is a process of its own, jobs take a second, pictures are small.

    python benchmarks/long_run.py --images 100000

Exits with 1 where the memory grows by more than 100 MB from the second tenth to the last, or where an image of the last
tenth takes half as much CPU again as one of the second.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from prefect_trinetra.progress import Progress
from prefect_trinetra.run import generate
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.spec import RunLimits, RunSpec

PARTS: Final = 10
MOST_GROWTH_MEGABYTES: Final = 100.0
MOST_CPU_GROWTH: Final = 1.5
LOOK_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Moment:
    """A look at the run: images so far, seconds of the wall and of the CPU, and memory at that moment."""

    images: int
    seconds: float
    cpu_seconds: float
    megabytes: float


@dataclass
class Watch:
    """Looks at the run whenever another part of its images is done."""

    progress: Progress
    step: int
    moments: list[Moment] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        self.moments.append(Moment(self.progress.images, time.perf_counter(), time.process_time(), megabytes()))

    def watch(self) -> None:
        """Until it is told that the run has ended; in a thread of its own."""
        while not self._end.wait(LOOK_SECONDS):
            if self.progress.images and not self.moments:
                self.look()
            if self.moments and self.progress.images >= len(self.moments) * self.step:
                self.look()
                print(f"{self.progress.images:,} images", file=sys.stderr)

    def end(self) -> None:
        self._end.set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--jobs-in-flight", type=int, default=200)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="long-run-") as folder,
        running_sandbox(job_seconds=1.0, pictures="stamped", pixels=64) as sandbox,
    ):
        moments, published = run(sandbox, Path(folder), given.images, given.jobs_in_flight)
    Console(width=120).print(table(moments), published)
    sys.exit(not is_flat(moments))


def run(sandbox: SandboxHandle, folder: Path, images: int, jobs_in_flight: int) -> tuple[list[Moment], str]:
    """The looks at the run, and a sentence about its publishing."""
    manifest = folder / "prompts.txt"
    manifest.write_text("".join(f"picture number {number} of a lighthouse\n" for number in range(images)))
    spec = RunSpec(str(manifest), str(folder / "dataset"), limits=RunLimits(jobs_in_flight=jobs_in_flight))
    watch = Watch(Progress(), images // PARTS)
    watching = threading.Thread(target=watch.watch)
    watching.start()
    try:
        report = generate(
            spec, Account.of(sandbox.api_key, sandbox.url), TrinetraSettings(), run_id="long", progress=watch.progress
        )
    finally:
        watch.end()
        watching.join()
    watch.look()
    if report is None or report.images != images:
        sys.exit(f"the run did not finish: {report}")
    *during, last = watch.moments
    seconds = last.seconds - during[-1].seconds
    return during, f"publishing: {seconds:.1f} s after the last image; {last.megabytes:.0f} MB at the end of the run"


def megabytes() -> float:
    """The memory of this process now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(kilobytes) * 1024 / 1e6


def table(moments: Sequence[Moment]) -> Table:
    drawn = Table("images", "images/s", "CPU ms/image", "MB", box=box.MARKDOWN)
    for before, after in itertools.pairwise(moments):
        done = after.images - before.images
        rate, cpu = done / (after.seconds - before.seconds), cpu_per_image(before, after)
        drawn.add_row(f"{after.images:,}", f"{rate:.0f}", f"{1000 * cpu:.2f}", f"{after.megabytes:.0f}")
    return drawn


def cpu_per_image(before: Moment, after: Moment) -> float:
    return (after.cpu_seconds - before.cpu_seconds) / (after.images - before.images)


def is_flat(moments: Sequence[Moment]) -> bool:
    """The first part is left out: pools fill and code is met for the first time."""
    growth = moments[-1].megabytes - moments[2].megabytes
    slower = cpu_per_image(*moments[-2:]) / cpu_per_image(*moments[1:3])
    return growth <= MOST_GROWTH_MEGABYTES and slower <= MOST_CPU_GROWTH


if __name__ == "__main__":
    main()
