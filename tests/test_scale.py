"""What a rerun asks of its store does not grow faster than the dataset, and hardly at all once it was folded.

Counts, not seconds: `benchmarks/scale.py` has those.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from complete_dataset import NOWHERE, write_complete
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.run import generate
from prefect_trinetra.settings import TrinetraSettings
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage import Storage
from prefect_trinetra.views import METADATA_FILE, ROWS_FILE

SMALL, LARGE = 20, 80
ROWS_PER_SHARD = 3


class CountingFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store in memory that counts what is asked of it."""

    protocol = "counting"
    store: ClassVar[dict[str, Any]] = {}
    calls: ClassVar[Counter[str]] = Counter()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.removeprefix("counting://")))

    def cat_file(self, *args: Any, **options: Any) -> Any:
        self.calls["reads"] += 1
        return super().cat_file(*args, **options)

    def find(self, *args: Any, **options: Any) -> Any:
        self.calls["listings"] += 1
        return super().find(*args, **options)

    def ls(self, *args: Any, **options: Any) -> Any:
        self.calls["listings"] += 1
        return super().ls(*args, **options)


fsspec.register_implementation("counting", CountingFileSystem, clobber=True)


def complete(folder: Path, shards: int) -> RunSpec:
    """A dataset of so many shards, all of whose rows succeeded, and the run that finds nothing to do in it."""
    manifest = folder / f"{shards}.txt"
    manifest.write_text("".join(f"prompt {number}\n" for number in range(shards * ROWS_PER_SHARD)))
    url = f"counting://{folder.name}/{shards}"
    asyncio.run(write_complete(Storage.open(url), str(manifest), shard_size=ROWS_PER_SHARD))
    # No account that could be charged, and no lease: this store is not one that could keep one.
    return RunSpec(str(manifest), url, lease=False)


def rerun(spec: RunSpec) -> tuple[DatasetReport, Counter[str]]:
    """What it reports, and what it asked of the store."""
    CountingFileSystem.calls.clear()
    report = generate(spec, NOWHERE, TrinetraSettings())
    assert report is not None
    return report, Counter(CountingFileSystem.calls)


def test_a_rerun_buys_nothing_and_publishes_everything(tmp_path: Path) -> None:
    spec = complete(tmp_path, SMALL)
    report, _ = rerun(spec)
    rows = SMALL * ROWS_PER_SHARD
    assert (report.to_buy, report.to_collect, report.kept, report.images) == (0, 0, rows, rows)
    names = asyncio.run(Storage.open(spec.dataset).list())
    assert {METADATA_FILE, ROWS_FILE} <= set(names)


def test_a_first_rerun_reads_each_file_of_a_shard_a_fixed_number_of_times(tmp_path: Path) -> None:
    """Rule: four times the shards are at most four times the reads, and no more listings."""
    (_, small), (_, large) = rerun(complete(tmp_path, SMALL)), rerun(complete(tmp_path, LARGE))
    # Attempts and records, once to plan and once to fold.
    assert large["reads"] - small["reads"] == 4 * (LARGE - SMALL)
    assert large["listings"] == small["listings"]


def test_a_later_rerun_asks_no_more_of_a_large_dataset_than_of_a_small_one(tmp_path: Path) -> None:
    """Rule: what shards left in many files lies in few by then."""
    asked = []
    for shards in (SMALL, LARGE):
        spec = complete(tmp_path, shards)
        rerun(spec)
        asked.append(rerun(spec)[1])
    assert asked[0] == asked[1]
    assert 0 < asked[0]["reads"] < SMALL
