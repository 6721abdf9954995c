"""The JSON line of each command: always the same eight names, and what else is known."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect_trinetra.plan import Plan
from prefect_trinetra.report import DatasetReport, planned_report

__all__ = ["plan_document", "report_document"]


def report_document(report: DatasetReport) -> dict[str, Any]:
    """A run's report; credits are those of this run."""
    return report.model_dump(mode="json") | {"dataset": report.dataset_url}


def plan_document(plan: Plan, dataset: str, seconds: float, *, saved: bool = False) -> dict[str, Any]:
    """What a run would do: `images` and `credits_bound` are what it would ask for, nothing is charged."""
    return report_document(planned_report(plan, dataset)) | {
        "seconds": round(seconds, 2),
        "dry_run": True,
        "saved": saved,
        "kept_outcomes": dict(plan.kept),
        "invalid": plan.invalid,
        "unknown": plan.unknown,
        "unknown_at_most": plan.unknown_at_most,
        "collect_at_most": plan.collect_at_most,
        "over_cap": plan.over_cap,
        "bound_over_cap": plan.bound_over_cap,
        "by_quality": {quality: asdict(totals) for quality, totals in plan.by_quality.items()},
    }
