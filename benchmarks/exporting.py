"""Peak memory and throughput of exports of few and of many images, beside a bare loop that makes tar files.

The dataset is noise of one size a file, on the local disk; each contender is a fresh process. The bare loop reads each
file and appends it to a tar file: it checks nothing, writes no rows and does not know where it was if it breaks off.

    python benchmarks/exporting.py --images 1000 100000 --kilobytes 20

Exits with 1 where the larger export needs more than 1.5 times the memory of the smaller one.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Final

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from prefect_trinetra.export.exporting import export_dataset
from prefect_trinetra.export.spec import ExportFormat, ExportSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from synthetic import synthetic_dataset

# A thousand small images do not fill the windows that a hundred thousand do.
MOST_GROWTH: Final = 1.5
BARE: Final = "bare tar loop"


def bare_loop(dataset: Path, out: Path) -> None:
    """Tar files of 500 MB, and nothing else."""
    out.mkdir()
    names = pq.read_table(dataset / "metadata.parquet", columns=["file_name"])["file_name"].to_pylist()
    size = (dataset / names[0]).stat().st_size
    per_file = 500_000_000 // size
    for start in range(0, len(names), per_file):
        with tarfile.open(out / f"{start}.tar", "w") as tar:
            for name in names[start : start + per_file]:
                tar.add(dataset / name, Path(name).name)


def contend(contender: str, dataset: Path, out: Path) -> None:
    """Runs one contender and prints wall seconds, CPU seconds and peak memory in MB."""
    start = perf_counter()
    if contender == BARE:
        bare_loop(dataset, out)
    else:
        export_dataset(ExportSpec(str(dataset), str(out), format=ExportFormat(contender), licence="CC0-1.0"))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps([perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))


def measured(contender: str, dataset: Path, out: Path) -> tuple[float, float, float]:
    words = [sys.executable, __file__, "--contend", contender, str(dataset), str(out)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    seconds, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, cpu, peak


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 20_000])
    parser.add_argument("--kilobytes", type=int, default=20)
    parser.add_argument("--contend", nargs=3)
    options = parser.parse_args()
    if options.contend:
        contend(options.contend[0], *map(Path, options.contend[1:]))
        return 0
    table = Table("contender", "images", "images/s", "MB/s", "CPU per image", "peak memory")
    peaks: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        for images in options.images:
            dataset = synthetic_dataset(
                Path(folder) / f"kites-{images}", images=images, image_bytes=1_000 * options.kilobytes
            )
            for contender in (BARE, *ExportFormat):
                seconds, cpu, peak = measured(contender, dataset, Path(folder) / f"{contender}-{images}")
                megabytes = images * options.kilobytes / 1_000
                table.add_row(
                    contender,
                    f"{images:,}",
                    f"{images / seconds:,.0f}",
                    f"{megabytes / seconds:,.0f}",
                    f"{1_000 * cpu / images:.2f} ms",
                    f"{peak:,.0f} MB",
                )
                peaks.setdefault(contender, []).append(peak)
    Console(width=100).print(table)
    grown = {name: max(found) / found[0] for name, found in peaks.items() if name != BARE}
    for name, growth in grown.items():
        print(f"{name}: {growth:.2f} times the memory of the smallest")
    return int(any(growth > MOST_GROWTH for growth in grown.values()))


if __name__ == "__main__":
    sys.exit(main())
