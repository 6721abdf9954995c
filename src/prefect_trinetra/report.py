"""What a run reports: small, JSON, and the same on the command line, in Prefect and in `runs/<run id>.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from prefect_trinetra.allowance import Allowance
from prefect_trinetra.costs import Cost
from prefect_trinetra.failures import FAILURES_FILE
from prefect_trinetra.outcomes import FAILURES, LEFT_OVER, Outcome
from prefect_trinetra.plan import Plan
from prefect_trinetra.views import METADATA_FILE, ROWS_FILE

__all__ = ["DatasetReport", "idle_report", "planned_report"]


class DatasetReport(BaseModel):
    """The end of one run of a dataset. Rows are the manifest's, samples included; credits are this run's own POSTs."""

    model_config = ConfigDict(frozen=True)

    dataset_url: str = Field(description="The dataset's folder.")
    images_url: str = Field(description="Where the images lie.")
    metadata_url: str = Field(description="One row per image (Parquet).")
    rows_url: str = Field(description="One row per manifest row, with its outcome and files (Parquet).")
    failures_url: str = Field(description="One line per row that failed: why, what it may have cost, how to retry it.")
    run_id: str = Field(description="The run whose cap and credits these are.")
    plan_id: str = Field(description="The plan that was carried out.")
    rows: int = Field(description="Rows of the manifest, times samples.")
    kept: int = Field(description="Rows that needed nothing: recorded before this run.")
    duplicates: int = Field(description="Rows that ask for the same as an earlier one.")
    to_buy: int = Field(0, description="Rows that were missing when the run was planned, those over the cap included.")
    to_collect: int = Field(0, description="Jobs of earlier runs that were still out then.")
    images: int = Field(description="Images of this manifest that the dataset holds.")
    images_made: int = Field(0, description="Images that this run brought in.")
    outcomes: dict[str, int] = Field(description="Rows by outcome; all nine outcomes are there.")
    reason_classes: dict[str, int] = Field(
        default_factory=dict,
        description="Rows that did not succeed by the class of their reason, most frequent first.",
    )
    credits_bound: float = Field(description="The most that this run's POSTs can cost.")
    credits_charged: float = Field(description="What the provider said it charged for them so far.")
    credits_at_most: float = Field(
        0.0, description="What they cost at most: charged, and the bounds of those whose charge is not known."
    )
    credits_unknown: float = Field(
        0.0, description="Of the bound: POSTs of which nobody knows whether they were accepted."
    )
    credits_not_ordered: float = Field(
        0.0, description="What the rows that were to be bought and were not ordered may cost."
    )
    credits_by_quality: dict[str, Cost] = Field(
        default_factory=dict, description="Orders and credits by the quality that was asked for."
    )
    credits_by_outcome: dict[str, Cost] = Field(
        default_factory=dict, description="Orders and credits by what became of the order so far."
    )
    overcharges: list[str] = Field(
        default_factory=list, description="Jobs that were charged more than their bound: submitting stopped."
    )
    max_credits: float | None = Field(None, description="The cap that was asked for, if there was one.")
    cap: float | None = Field(
        None, description="The smallest of max_credits, of what the budget left and of the applied plan's bound."
    )
    budget: Allowance | None = Field(None, description="What the budget leaves in its current period, after this run.")
    applied_plan_id: str | None = Field(None, description="The saved plan that was carried out, if it was one.")
    tolerated_failures: float = Field(0.0, description="The share of rows that may fail.")
    suspects: int = Field(0, description="Images that are stored and look wrong; see `suspect` in the metadata.")
    near_duplicates: int = Field(
        0, description="Images that look like an earlier one of the dataset; see `near_duplicate_of` in the metadata."
    )
    usable: int = Field(0, description="Images that are neither suspect nor near-duplicates.")
    usable_cost: Cost | None = Field(
        None, description="What all POSTs of this manifest's requests cost, of this run and of those before."
    )
    outputs_missing: int = Field(0, description="Images that were asked for and did not come, of rows that succeeded.")
    stopped: str | None = Field(None, description="Why submitting stopped early, if it did.")
    remarks: list[str] = Field(default_factory=list, description="What a person should know, in sentences.")
    seconds: float = Field(0.0, description="Wall time of the run.")

    @property
    def credits_per_usable_image(self) -> tuple[float, float] | None:
        """What a usable image cost, at least and at most: it pays for the failed, suspect and repeated ones, too."""
        if not self.usable or self.usable_cost is None:
            return None
        return self.usable_cost.charged / self.usable, self.usable_cost.at_most / self.usable

    @property
    def images_per_second(self) -> float:
        """Of this run, from its plan to its tables."""
        return self.images_made / self.seconds if self.seconds > 0 else 0.0

    @property
    def failures(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if Outcome(outcome) in FAILURES)

    @property
    def left_over(self) -> int:
        return sum(count for outcome, count in self.outcomes.items() if Outcome(outcome) in LEFT_OVER)

    @property
    def within_tolerance(self) -> bool:
        return self.failures <= self.tolerated_failures * self.rows + 1e-9

    @property
    def is_complete(self) -> bool:
        return not self.failures and not self.left_over

    def state_name(self) -> str:
        """A short name for how the run ended, such as `LeftOver: 32 pending`."""
        if self.overcharges:
            return f"Overcharged: {len(self.overcharges):,} jobs"
        if self.is_complete:
            return "Completed"
        left = [f"{self.outcomes[outcome]:,} {outcome}" for outcome in sorted(LEFT_OVER) if self.outcomes.get(outcome)]
        return f"LeftOver: {', '.join(left)}" if left else "CompletedWithFailures"

    def failure_sentence(self) -> str:
        """Why the run counts as failed, and where to look."""
        parts = [
            f"{count:,} {outcome}" for outcome, count in self.outcomes.items() if count and Outcome(outcome) in FAILURES
        ]
        return (
            f"{self.failures:,} of {self.rows:,} rows failed ({', '.join(parts)}), above the tolerated share of "
            f"{self.tolerated_failures:g}. Everything bought is kept; each row's reason is in {self.failures_url}"
        )


def all_outcomes(counts: Mapping[Outcome, int]) -> dict[str, int]:
    """Counts for each of the nine outcomes, zeros included."""
    return {outcome.value: counts.get(outcome, 0) for outcome in Outcome}


def planned_report(plan: Plan, dataset_url: str) -> DatasetReport:
    """What a plan says before anything is done: `images` and `credits_bound` are what it would ask for."""
    return DatasetReport(
        **_places(dataset_url),
        run_id=plan.run_id,
        plan_id=plan.id,
        rows=plan.rows,
        kept=sum(plan.kept.values()),
        duplicates=plan.duplicates,
        to_buy=plan.to_buy,
        to_collect=plan.to_collect,
        images=plan.images,
        outcomes={outcome.value: plan.outcomes.get(outcome.value, 0) for outcome in Outcome},
        credits_bound=plan.spend_at_most,
        credits_charged=0.0,
        credits_not_ordered=plan.bound,
        credits_by_quality={
            quality: Cost(totals.rows, bound=totals.bound) for quality, totals in plan.by_quality.items()
        },
        max_credits=plan.max_credits,
        cap=plan.cap,
        budget=plan.budget,
        applied_plan_id=plan.applies,
        remarks=["this is a plan: nothing was sent, nothing was written", *plan.remarks],
    )


def idle_report(dataset_url: str, run_id: str, remark: str) -> DatasetReport:
    """Of a run that had nothing to plan: all figures are 0, and `remark` says why."""
    return DatasetReport(
        **_places(dataset_url),
        run_id=run_id,
        plan_id="",
        rows=0,
        kept=0,
        duplicates=0,
        images=0,
        outcomes=all_outcomes({}),
        credits_bound=0.0,
        credits_charged=0.0,
        remarks=[remark],
    )


def _places(dataset_url: str) -> dict[str, Any]:
    return {
        "dataset_url": dataset_url,
        "images_url": f"{dataset_url}/images",
        "metadata_url": f"{dataset_url}/{METADATA_FILE}",
        "rows_url": f"{dataset_url}/{ROWS_FILE}",
        "failures_url": f"{dataset_url}/{FAILURES_FILE}",
    }
