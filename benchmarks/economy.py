"""What a run of a dataset asks of Prefect, counted on a real server: API calls, events and logs per image.

    .ci/quiet-prefect python benchmarks/economy.py
    .ci/quiet-prefect python benchmarks/economy.py --images 2000 --shard-size 100

A flow run in a process of its own; nobody else uses the server. Calls are lines of the server's access log,
events and log lines are rows of its database. The limits are those that the package promises at the default shard size.
What grows with time, and not with images, is the progress: a call and an event every eight seconds at most.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from prefect_trinetra.sandbox.process import running_sandbox
from prefect_trinetra.spec import RunLimits

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from toll import Toll, running_toll_gate  # found by the line above

MOST_CALLS: Final = 0.01
MOST_EVENTS_AND_LOGS: Final = 0.02


def shown(toll: Toll) -> Table:
    images = toll.report.images_made
    table = Table(box=box.SIMPLE_HEAD, title=f"{images:,} images, {toll.report.images_per_second:,.0f} images/s")
    for name in ("", "count", "per image", "at most"):
        table.add_column(name, justify="left" if not name else "right")
    for name, count in toll.calls.most_common():
        table.add_row(name, f"{count:,}", "", "", style="dim")
    calls, kept = toll.calls.total(), toll.events_and_logs
    table.add_row("API calls", f"{calls:,}", f"{calls / images:.4f}", f"{MOST_CALLS}", style="bold", end_section=True)
    for name, count in toll.events.most_common():
        table.add_row(name, f"{count:,}", "", "", style="dim")
    table.add_row("log lines", f"{toll.logs:,}", "", "", style="dim")
    table.add_row("events and logs", f"{kept:,}", f"{kept / images:.4f}", f"{MOST_EVENTS_AND_LOGS}", style="bold")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--shard-size", type=int, default=RunLimits().shard_size)
    parser.add_argument("--job-seconds", type=float, default=0.2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="economy-") as name:
        folder = Path(name)
        (folder / "home").mkdir()
        sandbox = running_sandbox(job_seconds=asked.job_seconds, pixels=16, pictures="stamped")
        with sandbox as shop, running_toll_gate(folder / "home") as gate:
            prompts = [f"a kite, number {number}" for number in range(asked.images)]
            toll = gate.run(shop, folder / "kites", prompts, asked.shard_size)
    Console().print(shown(toll))
    images = toll.report.images_made
    kept = toll.calls.total() <= MOST_CALLS * images and toll.events_and_logs <= MOST_EVENTS_AND_LOGS * images
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
