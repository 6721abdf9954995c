"""What the tests of runs on many machines share: one manifest, how its dataset is to look, and blocks that travel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestra import credentials_of
from prefect_trinetra.blocks import TrinetraCredentials
from prefect_trinetra.errors import StorageError
from prefect_trinetra.known import load_known
from prefect_trinetra.loop import io_loop
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.spec import RunLimits
from prefect_trinetra.storage import Storage
from runs import prompts, view

ROWS = 8
CAP_CREDITS = 35.0
# At medium quality five of the eight rows fit under the cap.
FIT = 5
LIMITS = RunLimits(shard_size=2, jobs_in_flight=2)
# A dead worker's shard is waited for: 2 s until it looks dead, and 1.5 s more.
QUICK_TAKEOVER = {"TRINETRA_LEASE_SECONDS": "2"}


def manifest() -> list[dict[str, Any]]:
    return prompts(ROWS, "a heron")


def saved_credentials(sandbox: SandboxHandle, name: str) -> TrinetraCredentials:
    """The sandbox's account as a block that Prefect stores."""
    credentials = credentials_of(sandbox)
    credentials.save(name, overwrite=True)
    return credentials


def pictures(dataset: Path) -> dict[str, bytes]:
    """Every image of a local dataset, by its name."""
    return {path.name: path.read_bytes() for path in (dataset / "images").rglob("*") if path.is_file()}


def ordered(dataset: Path, shard: str = "") -> int:
    """Jobs (of a shard) whose ids are in the dataset. One that is accepted and not yet there is lost with its worker.

    While journals come and go beneath the look, it says 0.
    """
    try:
        known = io_loop().run(load_known(Storage.open(str(dataset))))
    except (OSError, StorageError):
        return 0
    return sum(each.job_id is not None for each in known.ledger() if shard in {"", each.shard})


def decided(dataset: Path) -> list[tuple[Any, ...]]:
    """What became of every row, in order."""
    return [(row["row"], row["key"], row["outcome"], row["files"]) for row in view(dataset)]
