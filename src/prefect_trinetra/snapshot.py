"""A dataset's tables as of now, in a local folder: as published, or made of what a run has recorded so far.

Nothing is written into the dataset.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.dataset import Identity, read_identity
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.known import KnownState, load_known
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import Plan, PlanFiles
from prefect_trinetra.storage import Storage
from prefect_trinetra.stored_plans import latest_plan
from prefect_trinetra.views import METADATA_FILE, ROWS_FILE, LeftOver, write_views

__all__ = ["Snapshot", "take_snapshot"]

PLAN_ROWS: Final = "plan.parquet"
NOT_ORDERED: Final = "not ordered yet: its run is under way, or broke off and the next one goes on"
# A run that ends or begins meanwhile takes a file away at most once each.
LOOKS: Final = 3


@dataclass(frozen=True)
class Snapshot:
    """A dataset at one moment. `known` is its ledger and its records."""

    identity: Identity
    known: KnownState
    folder: Path
    plan: Plan | None
    is_published: bool
    """The tables are those that the latest run left at its end; else a run is under way, or broke off."""

    @property
    def metadata(self) -> Path:
        """One row per image."""
        return self.folder / METADATA_FILE

    @property
    def rows(self) -> Path:
        """One row per row of the manifest."""
        return self.folder / ROWS_FILE

    @property
    def plan_rows(self) -> Path | None:
        """What was asked for in each row, in the order of `rows`; None where the plan is no longer kept."""
        path = self.folder / PLAN_ROWS
        return path if path.is_file() else None


async def take_snapshot(storage: Storage, folder: Path) -> Snapshot:
    """Brings the tables into `folder`, which is to be empty. Raises DatasetError where there are none yet."""
    identity = await read_identity(storage)
    if identity is None:
        raise DatasetError(f"{storage.url} is no dataset: there is no dataset.json in it. Check the address")
    for _ in range(LOOKS):
        try:
            return await _take(storage, identity, folder)
        except FileNotFoundError:
            continue
    raise DatasetError(f"the plan or the tables of {storage.url} change while they are read: try again")


async def _take(storage: Storage, identity: Identity, folder: Path) -> Snapshot:
    plan = await latest_plan(storage)
    known = await load_known(storage)
    if plan is not None:
        await _fetch_plan(storage, plan, folder)
    if plan is None or await _has_ended(storage, plan):
        if await _fetch_published(storage, folder):
            return Snapshot(identity, known, folder, plan, is_published=True)
        if plan is None:
            raise DatasetError(f"{storage.url} has no rows yet: no run has got as far as its plan")
    left_over = LeftOver(Outcome.PENDING, NOT_ORDERED, plan.id)
    await asyncio.to_thread(write_views, folder / PLAN_ROWS, known, left_over, folder)
    return Snapshot(identity, known, folder, plan, is_published=False)


async def _fetch_plan(storage: Storage, plan: Plan, folder: Path) -> None:
    await storage.download(PlanFiles(plan.id).rows, folder / PLAN_ROWS)


async def _has_ended(storage: Storage, plan: Plan) -> bool:
    """Whether the run that carried the plan out has published: its report is the last that it writes."""
    try:
        report = orjson.loads(await storage.read(f"runs/{plan.run_id}.json"))
    except (FileNotFoundError, orjson.JSONDecodeError):
        return False
    return isinstance(report, dict) and report.get("plan_id") == plan.id


async def _fetch_published(storage: Storage, folder: Path) -> bool:
    """Whether there are tables, and of one run: another may be publishing in this moment."""
    try:
        for view in (ROWS_FILE, METADATA_FILE):
            await storage.download(view, folder / view)
        return await asyncio.to_thread(_fit_together, folder)
    except FileNotFoundError:
        return False
    except pa.ArrowException as error:
        raise DatasetError(
            f"{ROWS_FILE} or {METADATA_FILE} of {storage.url} is damaged ({error}): delete both, a run makes them anew"
        ) from error


def _fit_together(folder: Path) -> bool:
    rows = pq.read_table(folder / ROWS_FILE, columns=["duplicate_of", "files"])
    images = pq.read_table(folder / METADATA_FILE, columns=["file_name"])
    firsts = rows.filter(pc.is_null(rows["duplicate_of"]))
    return bool(pc.list_flatten(firsts["files"]).to_pylist() == images["file_name"].to_pylist())
