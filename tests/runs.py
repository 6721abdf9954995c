"""Whole runs against a sandbox, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from prefect_trinetra.errors import TooManyFailures
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.run import generate
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.spec import RunSpec

# Hanging servers must not hang the tests.
QUICK_SETTINGS = TrinetraSettings(submit_timeout_seconds=2, poll_timeout_seconds=5, download_timeout_seconds=60)


def account_of(sandbox: SandboxHandle) -> Account:
    return Account.of(sandbox.api_key, sandbox.url)


def run(
    sandbox: SandboxHandle, manifest: Any, dataset: Path | str, settings: TrinetraSettings = QUICK_SETTINGS, **spec: Any
) -> DatasetReport:
    """A run to its end, whatever share of its rows failed."""
    try:
        report = generate(RunSpec(manifest, str(dataset), **spec), account_of(sandbox), settings)
    except TooManyFailures as error:
        return error.report
    assert report is not None
    return report


def prompts(count: int, word: str = "a kite") -> list[dict[str, Any]]:
    return [{"prompt": f"{word}, number {number}"} for number in range(count)]


def outcomes(report: DatasetReport) -> dict[str, int]:
    """The outcomes that any row has."""
    return {outcome: count for outcome, count in report.outcomes.items() if count}


def view(dataset: Path, name: str = "rows") -> list[dict[str, Any]]:
    """The rows of a view of a local dataset."""
    rows: list[dict[str, Any]] = pq.read_table(dataset / f"{name}.parquet").to_pylist()
    return rows


def bought_twice(bill: dict[str, Any]) -> Sequence[str]:
    """Prompts that were billed more than once."""
    return [entry["body"]["prompt"] for entry in bill["bodies"] if entry["billed_jobs"] > 1]
