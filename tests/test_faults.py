"""A provider with every fault switched on in turn: each row has the outcome that it should, and the bill agrees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from prefect_trinetra.request import ImageParameters
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.spec import RunLimits
from runs import QUICK_SETTINGS, bought_twice, outcomes, prompts, run, view

pytestmark = pytest.mark.slow

ROWS = 6
# A rate that is given is not looked for: what a limit does to an unknown rate is tested elsewhere.
BRISK = RunLimits(requests_per_minute=60_000)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(
        job_seconds=0.05, pixels=64, pictures="stamped", hang_seconds=20, slow_download_seconds=1
    ) as handle:
        yield handle


@dataclass(frozen=True)
class Case:
    """A fault at a rate, every row's outcome and class under it, and what a second run without it leads to."""

    fault: str
    outcome: str
    reason_class: str | None = None
    then: str | None = None
    """The same outcome again unless it is said."""
    rate: float = 1.0
    second_submits: int = 0
    spec: dict[str, Any] = field(default_factory=dict)

    @property
    def limited_spec(self) -> dict[str, Any]:
        return {"limits": BRISK} | self.spec


SHORT = {"limits": BRISK.model_copy(update={"job_deadline_seconds": 1})}
CASES = [
    # Not accepted: void, wait, the same attempt again.
    Case("rate_limited", "succeeded", rate=0.4),
    Case("rate_limited_bare", "succeeded", rate=0.2),
    Case("unavailable", "succeeded", rate=0.4),
    # Nobody can tell: counted as spent and not sent again by itself.
    Case("error_before", "unknown", "server_error"),
    Case("redirect_submit", "unknown", "redirected"),
    Case("error_after", "unknown", "server_error"),
    Case("bare_503", "unknown", "bare_503"),
    Case("lost_answer", "unknown", "no_answer"),
    Case("reset_answer", "unknown", "no_answer"),
    Case("half_answer", "unknown", "no_answer"),
    Case("hang_after", "unknown", "no_answer"),
    Case("garbled", "unknown", "no_job_id"),
    Case("no_id", "unknown", "no_job_id"),
    # The job's own course.
    Case("slow_jobs", "succeeded"),
    Case("stuck_jobs", "pending", "not_done", spec=SHORT),
    Case("failed_jobs", "failed", "provider_failure", then="succeeded", second_submits=ROWS),
    Case("unknown_state", "pending", "unlisted_state", spec=SHORT),
    Case("unknown_state_with_outputs", "succeeded"),
    Case("missing_credits", "succeeded"),
    Case("wrong_model", "succeeded"),
    Case("fewer_outputs", "succeeded", spec={"parameters": ImageParameters(n=2)}),
    Case("extra_outputs", "succeeded"),
    Case("empty_outputs", "damaged", "no_outputs"),
    Case("non_image_output", "damaged", "not_an_image"),
    # Looks.
    Case("poll_error", "succeeded", rate=0.5),
    Case("poll_missing", "succeeded", rate=0.3),
    Case("poll_missing", "pending", "not_done", then="succeeded", spec=SHORT),
    # Downloads.
    Case("truncated", "succeeded", rate=0.3),
    Case("truncated", "pending", "download_trouble", then="succeeded"),
    Case("html", "damaged", "not_an_image"),
    Case("empty_body", "damaged", "not_an_image"),
    Case("oversized", "damaged", "image_too_large"),
    Case("slow_download", "succeeded"),
    Case("redirect_download", "succeeded"),
    Case("redirect_outside", "damaged", "bad_output_url"),
    Case("wrong_format", "succeeded"),
    Case("wrong_type", "succeeded"),
    Case("flat", "succeeded"),
    Case("placeholder", "succeeded"),
    Case("expired", "succeeded"),
    Case("gone", "expired", "url_expired"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.outcome}")
def test_every_fault_has_its_outcome(case: Case, sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: one bad row costs nobody else, nothing is bought twice, and a second run spends only what was free."""
    sandbox.reset()
    sandbox.set_faults(**{case.fault: case.rate})
    settings = QUICK_SETTINGS.model_copy(update={"max_image_bytes": 2**20})
    first = run(sandbox, prompts(ROWS), tmp_path / "dataset", settings, **case.limited_spec)
    assert outcomes(first) == {case.outcome: ROWS}
    assert {row["reason_class"] for row in view(tmp_path / "dataset")} == {case.reason_class}
    assert_the_ledger_covers_the_bill(first.credits_charged, first.credits_bound, sandbox.bill())

    submits = sandbox.bill()["submits"]
    sandbox.set_faults(**{case.fault: 0.0})
    second = run(sandbox, prompts(ROWS), tmp_path / "dataset", settings, **case.limited_spec)
    assert outcomes(second) == {case.then or case.outcome: ROWS}
    assert sandbox.bill()["submits"] - submits == case.second_submits
    assert not bought_twice(sandbox.bill())
    assert all(row["reason"] for row in view(tmp_path / "dataset") if row["outcome"] != "succeeded")


def assert_the_ledger_covers_the_bill(charged: float, bound: float, bill: dict[str, Any]) -> None:
    assert charged <= bill["credits"] <= bound
    assert bill["key_leaks"] == 0


def test_the_rest_of_a_dataset_is_complete_beside_its_bad_rows(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: a refused row ends refused, and every other row has its image."""
    sandbox.reset()
    rows = [*prompts(ROWS), {"prompt": "forbidden-by-moderation"}, {"prompt": " "}, {"prompt": "x", "n": "2.5"}]
    report = run(sandbox, rows, tmp_path / "dataset", limits=BRISK)
    assert outcomes(report) == {"succeeded": ROWS, "refused": 1, "invalid": 2}
    assert report.images == ROWS


def test_a_charge_above_its_bound_stops_admission_and_is_named(sandbox: SandboxHandle, tmp_path: Path) -> None:
    sandbox.reset()
    sandbox.set_faults(overcharged=1.0)
    limits = BRISK.model_copy(update={"shard_size": 1, "jobs_in_flight": 1})
    report = run(sandbox, prompts(20), tmp_path / "dataset", limits=limits)
    assert "bound" in (report.stopped or "")
    assert 0 < report.outcomes["succeeded"] < 20
    assert report.outcomes["pending"] == 20 - report.outcomes["succeeded"]


def test_no_credits_left_stops_submitting_and_keeps_what_was_bought(tmp_path: Path) -> None:
    """Rule: 402 stops submitting, what is in flight is collected, and after a top-up the rest is simply bought."""
    with running_sandbox(job_seconds=0.05, pixels=64, pictures="stamped", balance=70) as sandbox:
        first = run(sandbox, prompts(30), tmp_path / "d", limits=RunLimits(jobs_in_flight=4))
        assert first.outcomes["succeeded"] == 10
        assert "402" in (first.stopped or "")
        sandbox.top_up(1_000)
        second = run(sandbox, prompts(30), tmp_path / "d")
        assert outcomes(second) == {"succeeded": 30}
        assert sandbox.bill()["credits"] == 30 * 7
