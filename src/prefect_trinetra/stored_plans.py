"""Plans as they lie in a dataset: those of runs, and those that a person saved to be carried out as they stand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.errors import ConfigurationError, DatasetError, PlanOutdated
from prefect_trinetra.plan import PLANS_FOLDER, Plan, PlanFiles
from prefect_trinetra.storage import Storage

__all__ = [
    "SavedPlan",
    "drop_idle_plans",
    "find_saved",
    "latest_alike",
    "latest_plan",
    "mark_applied",
    "save_plan",
    "store_plan",
]

# What a plan decides about a row, with what is said where it has become another decision.
DECISIONS: Final = {
    "key": "asks for another picture than it did (the parameters, the columns or the template are others)",
    "action": "was to {was}, and is now to {now} (a run has recorded something meanwhile, or --retry differs)",
    "attempt": "was to be attempt {was}, and is now attempt {now} (a run has tried it meanwhile)",
    "bound": "was bounded by {was} credits, and is now by {now} (the prices differ)",
}
PLACE: Final = ("row", "sample")
APPLIED: Final = "applied-"


@dataclass(frozen=True)
class SavedPlan:
    """A saved plan, and whether the run that asks for it has begun to carry it out already."""

    plan: Plan
    is_under_way: bool

    async def refuse_if_outdated(self, storage: Storage, now: Plan, rows_now: Path, folder: Path) -> None:
        """Raises PlanOutdated unless the plan made now decides the same about the same rows.

        A run that goes on with a plan finds other decisions, its own: then only the plan's bound still holds.
        """
        if self.is_under_way:
            return
        rows_then = folder / "saved.parquet"
        await storage.download(PlanFiles(self.plan.id).rows, rows_then)
        if changes := list(await asyncio.to_thread(_changes, self.plan, rows_then, now, rows_now)):
            raise PlanOutdated(
                f"plan {self.plan.id} is outdated: {'; '.join(changes)}. Nothing was sent. "
                "Make and review a new one with: prefect-trinetra plan --save"
            )


async def store_plan(storage: Storage, plan: Plan, rows_file: Path) -> None:
    """Writes a plan; one without its plan.json was never finished."""
    files = PlanFiles(plan.id)
    await storage.upload(rows_file, files.rows)
    await storage.write(files.summary, plan.to_json(), durable=True)


async def save_plan(storage: Storage, plan: Plan, rows_file: Path) -> None:
    """Stores a plan for a person to apply. It takes the place of the one that was saved before and not applied."""
    before = await storage.list(PLANS_FOLDER)
    await store_plan(storage, plan, rows_file)
    await storage.write(PlanFiles(plan.id).saved, b"", durable=True)
    replaced = _saved(before) - _applied(before).keys()
    await _delete(storage, [path for path in before if _plan_of(path) in replaced])


async def latest_plan(storage: Storage) -> Plan | None:
    """The plan that a run carries out, or carried out last; None where there is none. Saved ones are nobody's yet."""
    paths = await storage.list(PLANS_FOLDER)
    ids = {_plan_of(path) for path in paths if path == PlanFiles(_plan_of(path)).summary} - _saved(paths)
    return Plan.from_json(await storage.read(PlanFiles(max(ids)).summary)) if ids else None


async def latest_alike(storage: Storage, reading: str, fingerprint: Callable[[], str], rows_file: Path) -> Plan | None:
    """The latest plan, with its rows in `rows_file`, where it is one of the same manifest, read in the same way.

    `fingerprint` tells the manifest's, and is asked only where the reading is the same.
    """
    try:
        plan = await latest_plan(storage)
        if plan is None or plan.reading != reading or plan.fingerprint != await asyncio.to_thread(fingerprint):
            return None
        await storage.download(PlanFiles(plan.id).rows, rows_file)
    except (FileNotFoundError, DatasetError):  # it goes away in this moment, or is of another version
        return None
    return plan


async def find_saved(storage: Storage, plan_id: str, run_id: str) -> SavedPlan:
    """The saved plan of that name. Raises ConfigurationError where there is none, PlanOutdated where it was applied."""
    paths = await storage.list(PLANS_FOLDER)
    if plan_id not in _saved(paths):
        others = ", ".join(sorted(_saved(paths) - _applied(paths).keys())) or "none"
        raise ConfigurationError(f"{storage.url} has no saved plan {plan_id} (saved and not applied: {others})")
    runs = _applied(paths).get(plan_id, set())
    if runs - {run_id}:
        raise PlanOutdated(
            f"plan {plan_id} was carried out by run {min(runs - {run_id})}: run without a plan to go on, or save a new "
            "one. Nothing was sent."
        )
    return SavedPlan(Plan.from_json(await storage.read(PlanFiles(plan_id).summary)), run_id in runs)


async def mark_applied(storage: Storage, plan_id: str, run_id: str) -> None:
    """From here on the saved plan belongs to one run, with its retries."""
    await storage.write(f"{PlanFiles(plan_id).folder}/{APPLIED}{run_id}", b"", durable=True)


async def drop_idle_plans(storage: Storage, latest: Plan) -> None:
    """Deletes plans that led to no shard, but for the latest: a schedule with nothing to do would pile them up.

    A saved one stays until it was applied by an earlier run than that of the latest.
    """
    paths = await storage.list(PLANS_FOLDER)
    applied = _applied(paths)
    busy = {_plan_of(path) for path in paths if "/shards/" in path}
    awaited = {name for name in _saved(paths) if applied.get(name, {latest.run_id}) == {latest.run_id}}
    idle = [path for path in paths if _plan_of(path) not in busy | awaited and _plan_of(path) < latest.id]
    await _delete(storage, idle)


async def _delete(storage: Storage, paths: Sequence[str]) -> None:
    await asyncio.gather(*(storage.delete(path) for path in paths))


def _plan_of(path: str) -> str:
    return path.split("/")[1]


def _saved(paths: Sequence[str]) -> set[str]:
    return {_plan_of(path) for path in paths if path == PlanFiles(_plan_of(path)).saved}


def _applied(paths: Sequence[str]) -> dict[str, set[str]]:
    """The runs that began to carry out each saved plan."""
    runs: dict[str, set[str]] = {}
    for path in paths:
        name = PurePosixPath(path).name
        if name.startswith(APPLIED):
            runs.setdefault(_plan_of(path), set()).add(name.removeprefix(APPLIED))
    return runs


def _changes(then: Plan, rows_then: Path, now: Plan, rows_now: Path) -> Iterator[str]:
    """What has become different, in sentences; nothing where the same would be done."""
    if then.fingerprint != now.fingerprint:
        yield "the manifest has changed"
        return
    before, after = (pq.read_table(file, columns=[*PLACE, *DECISIONS]) for file in (rows_then, rows_now))
    if not before.select(PLACE).equals(after.select(PLACE)):
        yield "the number of samples or of jobs that are still out has changed"
        return
    for column, words in DECISIONS.items():
        if change := _change(before, after, column, words):
            yield change
            return


def _change(before: pa.Table, after: pa.Table, column: str, words: str) -> str | None:
    """The first row about which a column says something else, and how many they are."""
    same = pc.fill_null(pc.equal(before[column], after[column]), fill_value=False)
    neither = pc.and_(pc.is_null(before[column]), pc.is_null(after[column]))
    changed = pc.indices_nonzero(pc.invert(pc.or_(same, neither))).to_pylist()
    if not changed:
        return None
    at = changed[0]
    said = words.format(was=before[column][at].as_py(), now=after[column][at].as_py())
    others = f", and {len(changed) - 1:,} other rows alike" if len(changed) > 1 else ""
    return f"row {after['row'][at].as_py()} {said}{others}"
