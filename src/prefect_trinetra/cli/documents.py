"""The JSON line of each command: always the same eight names, and what else is known."""

from __future__ import annotations

from typing import Any

from prefect_trinetra.plan import Plan
from prefect_trinetra.report import DatasetReport, planned_report

__all__ = ["plan_document", "report_document"]


def report_document(report: DatasetReport) -> dict[str, Any]:
    """A run's report; credits are those of this run."""
    return report.model_dump(mode="json") | {"dataset": report.dataset_url}


def plan_document(plan: Plan, dataset: str, seconds: float) -> dict[str, Any]:
    """What a run would do: `images` and `credits_bound` are what it would ask for, nothing is charged."""
    return report_document(planned_report(plan, dataset)) | {
        "seconds": round(seconds, 2),
        "dry_run": True,
        "kept_outcomes": dict(plan.kept),
        "to_buy": plan.to_buy,
        "to_collect": plan.to_collect,
        "invalid": plan.invalid,
        "over_cap": plan.over_cap,
        "bound_by_quality": dict(plan.bound_by_quality),
    }
