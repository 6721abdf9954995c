"""A complete dataset of any size as its run left it: plan, ledger and records, and no pictures. Nothing is bought."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow.parquet as pq

from prefect_trinetra.dataset import identify
from prefect_trinetra.journal import JournalName, new_writer
from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.manifest import Manifest
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.parts import store_parts
from prefect_trinetra.plan import Plan, PlanFiles, PlanTerms
from prefect_trinetra.planner import make_plan
from prefect_trinetra.records import Record
from prefect_trinetra.settings import Account
from prefect_trinetra.storage import Storage, image_name
from prefect_trinetra.stored_plans import store_plan

__all__ = ["NOWHERE", "write_complete"]

# Nobody listens there: whoever would submit fails.
NOWHERE: Final = Account.of("made-up-key", "http://127.0.0.1:9")
FIRST_MOMENT: Final = 1_790_000_000.0
SHARD_SIZE: Final = 500


async def write_complete(storage: Storage, manifest: str, *, shard_size: int = SHARD_SIZE) -> Plan:
    """Everything that a run of the manifest leaves when all its rows succeeded, but the published tables."""
    await identify(storage, NOWHERE)
    with tempfile.TemporaryDirectory() as folder:
        rows_file = Path(folder) / "rows.parquet"
        terms = PlanTerms(run_id="the-first-run")
        plan = await asyncio.to_thread(make_plan, Manifest.open(manifest), KnownState(), terms, rows_file)
        await store_plan(storage, plan, rows_file)
        shards = _shards(rows_file, shard_size)
        for number, rows in enumerate(shards):
            name = JournalName(plan.id, f"{number:05d}", new_writer())
            attempts = [_attempt(row, name) for row in rows]
            records = [_record(row, each) for row, each in zip(rows, attempts, strict=True)]
            await storage.write(PlanFiles(plan.id).shard(name.shard), b"")
            await store_parts(storage, name.stem, attempts, records)
    return plan


def _shards(rows_file: Path, size: int) -> Iterator[list[Mapping[str, Any]]]:
    columns = ["row", "key", "action", "bound", "prompt", "quality"]
    with pq.ParquetFile(rows_file) as file:
        for batch in file.iter_batches(size, columns=columns):
            yield [row for row in batch.to_pylist() if row["action"] == "buy"]


def _attempt(row: Mapping[str, Any], name: JournalName) -> Attempt:
    begun_at = FIRST_MOMENT + row["row"] / 100
    digest = hashlib.sha256(row["key"].encode()).hexdigest()
    return Attempt(
        key=row["key"],
        attempt=1,
        sample=0,
        run_id="the-first-run",
        plan_id=name.plan_id,
        shard=name.shard,
        writer=name.writer,
        state=AttemptState.ACCEPTED,
        bound=row["bound"],
        begun_at=begun_at,
        job_id=f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}",
        answered_at=begun_at + 0.3,
        finished_at=begun_at + 20.7,
        outcome=Outcome.SUCCEEDED,
        credits_charged=row["bound"],
        request=orjson.dumps({"prompt": row["prompt"], "quality": row["quality"]}).decode(),
    )


def _record(row: Mapping[str, Any], attempt: Attempt) -> Record:
    sha256 = hashlib.sha256(attempt.job_id.encode() if attempt.job_id else b"").hexdigest()
    record = Record(
        key=row["key"],
        index=0,
        sample=0,
        attempt=1,
        outcome=Outcome.SUCCEEDED,
        finished_at=attempt.finished_at or 0.0,
        job_id=attempt.job_id,
        file_name=image_name(row["key"], 0, sha256, "png"),
        width=1024,
        height=1024,
        format="png",
        bytes=1_500_000 + row["row"] % 1000,
        sha256=sha256,
        credits_charged=attempt.credits_charged,
        submitted_at=attempt.begun_at,
        package_version="0.1.0",
    )
    return replace(record, perceptual_hash=sha256[:16])
