"""What a run does before it spends anything: it takes up what is open, plans, and stores the plan."""

from __future__ import annotations

import logging
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from prefect_trinetra.allowance import Allowance, allowance
from prefect_trinetra.dataset import Identity, identify, read_identity
from prefect_trinetra.known import KnownState, load_known, settle_journals
from prefect_trinetra.loop import io_loop
from prefect_trinetra.manifest import Manifest
from prefect_trinetra.plan import Plan, PlanTerms
from prefect_trinetra.planner import make_plan
from prefect_trinetra.replanning import make_plan_again
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.settled import Detail
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.standing import Rules
from prefect_trinetra.storage import Storage
from prefect_trinetra.stored_plans import find_saved, latest_alike, save_plan, store_plan
from prefect_trinetra.window import Prepared

__all__ = ["allowance_of", "plan_only", "prepare"]

logger = logging.getLogger(__name__)

PLAN_ROWS: Final = "rows.parquet"


def plan_only(spec: RunSpec, account: Account | None, settings: TrinetraSettings, *, save: bool = False) -> Plan:
    """What a run would do, from the manifest and everything recorded.

    Writes nothing into the dataset, unless the plan is to be saved there for a run to apply. Raises PlanOutdated.
    """
    manifest = _open_manifest(spec)
    storage = Storage.open(spec.dataset, spec.storage_options)
    known = io_loop().run(_look_at(storage, account))
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        plan = _planned(storage, manifest, known, _terms(spec, settings, account, known), Path(folder))
        if save:
            io_loop().run(save_plan(storage, plan, Path(folder) / PLAN_ROWS))
    return plan


def prepare(
    spec: RunSpec, account: Account, settings: TrinetraSettings, run_id: str, *, generation: int | None = None
) -> Prepared:
    """Probes the storage, settles what earlier runs left open, plans, and stores the plan. Spends nothing.

    `generation` is that of the dataset's lease, which the caller holds (see `hold`); None where there is none.
    """
    manifest = _open_manifest(spec)
    storage = Storage.open(spec.dataset, spec.storage_options)
    identity, known = io_loop().run(_take_up(storage, account))
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        plan = _planned(storage, manifest, known, _terms(spec, settings, account, known, run_id), Path(folder))
        io_loop().run(store_plan(storage, plan, Path(folder) / PLAN_ROWS))
    seconds = spec.limits.run_deadline_seconds
    until = None if seconds is None else time.time() + seconds
    return Prepared(plan, identity, until, generation)


def _open_manifest(spec: RunSpec) -> Manifest:
    return Manifest.open(
        spec.manifest,
        parameters=spec.parameters,
        columns=spec.columns,
        template=spec.template,
        storage_options=spec.manifest_options,
    )


async def _look_at(storage: Storage, account: Account | None) -> KnownState:
    identity = await read_identity(storage)
    if identity is not None and account is not None and identity.origin != account.origin:
        await identify(storage, account)
    return await load_known(storage, Detail.COST)


async def _take_up(storage: Storage, account: Account) -> tuple[Identity, KnownState]:
    await storage.probe()
    identity = await identify(storage, account)
    await settle_journals(storage)
    return identity, await load_known(storage, Detail.COST)


def _planned(storage: Storage, manifest: Manifest, known: KnownState, terms: PlanTerms, folder: Path) -> Plan:
    """The plan, its rows in `folder`. Raises PlanOutdated where it is not the one that is to be applied."""
    rows_file = folder / PLAN_ROWS
    if terms.plan_id is None:
        return _made(storage, manifest, known, terms, rows_file)
    saved = io_loop().run(find_saved(storage, terms.plan_id, terms.run_id))
    plan = _made(storage, manifest, known, replace(terms, applies=saved.plan), rows_file)
    io_loop().run(saved.refuse_if_outdated(storage, plan, rows_file, folder))
    return plan


def _made(storage: Storage, manifest: Manifest, known: KnownState, terms: PlanTerms, rows_file: Path) -> Plan:
    """A plan: of the latest one's rows, where the manifest would give the same."""
    rows_then = rows_file.with_name("earlier.parquet")
    reading = terms.reading(manifest.asked)
    earlier = io_loop().run(latest_alike(storage, reading, manifest.fingerprint_now, rows_then))
    if earlier is None:
        return make_plan(manifest, known, terms, rows_file)
    try:
        return make_plan_again(earlier, rows_then, known, terms, rows_file)
    except pa.ArrowException as error:
        logger.warning("the rows of plan %s are damaged (%s): the manifest is read anew", earlier.id, error)
        return make_plan(manifest, known, terms, rows_file)


def _terms(
    spec: RunSpec, settings: TrinetraSettings, account: Account | None, known: KnownState, run_id: str = ""
) -> PlanTerms:
    return PlanTerms(
        rules=Rules(spec.retry, settings.max_attempts, settings.honours_idempotency_key),
        run_id=run_id,
        samples=spec.samples,
        sample_base=spec.sample_base,
        max_credits=spec.max_credits,
        budget=allowance_of(spec, known, but_of=run_id),
        spent_before=known.spent_by(run_id) if run_id else 0.0,
        account_prices=account.credits_per_image if account else settings.credits_per_image,
        plan_id=spec.plan_id,
    )


def allowance_of(spec: RunSpec, known: KnownState, *, but_of: str = "") -> Allowance | None:
    """What the spec's budget leaves now, the run `but_of` left out; None where there is none."""
    if spec.budget is None:
        return None
    now = datetime.now(UTC)
    begins, _ = spec.budget.period(now)
    return allowance(spec.budget, known.ledger_since(begins.timestamp()), now, but_of=but_of)
