"""What became of a row, and what a job document says. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final

from prefect_trinetra.complaints import Complaint, complaint_in, json_object

__all__ = [
    "FAILURES",
    "LEFT_OVER",
    "RETRYABLE",
    "Job",
    "JobState",
    "Outcome",
    "Output",
    "parse_job",
]


class Outcome(StrEnum):
    """The one thing that became of a row."""

    SUCCEEDED = "succeeded"
    """At least one image is stored and verified."""
    REFUSED = "refused"
    """The provider will not make it: permanent for this request. Nothing charged."""
    FAILED = "failed"
    """The job failed, delivered nothing and charged nothing: tried again by the next run."""
    UNKNOWN = "unknown"
    """Nobody can tell whether the POST was accepted: counted as spent, not sent again by itself."""
    PENDING = "pending"
    """Not finished: a job that is still out, or a row whose turn did not come. The next run goes on with it."""
    DAMAGED = "damaged"
    """The job succeeded or charged, and what it delivered is no usable image."""
    EXPIRED = "expired"
    """The job's outputs can no longer be had."""
    INVALID = "invalid"
    """The manifest's row is no valid request. Nothing was sent."""
    OVER_BUDGET = "over_budget"
    """Its price bound did not fit under the cap. Nothing was sent."""


# Counted, as a share of the manifest's rows, against `tolerated_failures`.
FAILURES: Final = frozenset(
    {Outcome.FAILED, Outcome.REFUSED, Outcome.DAMAGED, Outcome.EXPIRED, Outcome.INVALID, Outcome.UNKNOWN}
)
# Not done and nobody's fault: the next run goes on with them.
LEFT_OVER: Final = frozenset({Outcome.PENDING, Outcome.OVER_BUDGET})
# What `retry` may name: for all but failed it is the user's word that paying again is fine.
RETRYABLE: Final = frozenset({Outcome.FAILED, Outcome.REFUSED, Outcome.UNKNOWN, Outcome.DAMAGED, Outcome.EXPIRED})


class JobState(Enum):
    """What a job document's `status` means to us. The provider names only queued and succeeded."""

    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNLISTED = "unlisted"


STATES: Final[Mapping[str, JobState]] = {
    **dict.fromkeys(
        [
            "queued",
            "pending",
            "processing",
            "running",
            "in_progress",
            "starting",
            "submitted",
            "accepted",
            "created",
        ],
        JobState.WAITING,
    ),
    **dict.fromkeys(["succeeded", "success", "completed", "complete", "finished", "done"], JobState.SUCCEEDED),
    **dict.fromkeys(
        [
            "failed",
            "failure",
            "error",
            "errored",
            "canceled",
            "cancelled",
            "rejected",
            "timed_out",
            "timeout",
        ],
        JobState.FAILED,
    ),
}


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a job: a signed URL of limited life, and what kind of thing it is."""

    url: str
    type: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the provider last described it. `credits_charged` is None where the provider did not say."""

    id: str
    status: str
    outputs: tuple[Output, ...] = ()
    credits_charged: float | None = None
    error: str | None = None
    model: str | None = None
    error_code: str | None = None

    @property
    def state(self) -> JobState:
        return STATES.get(self.status.strip().lower(), JobState.UNLISTED)

    @property
    def complaint(self) -> Complaint:
        return Complaint(self.error_code, self.error)

    @property
    def is_terminal(self) -> bool:
        """Whether there is something to act on: an unlisted state is, once it shows outputs."""
        match self.state:
            case JobState.WAITING:
                return False
            case JobState.SUCCEEDED | JobState.FAILED:
                return True
            case JobState.UNLISTED:
                return bool(self.outputs)

    @property
    def failed_for_free(self) -> bool:
        """The narrow meaning of failed: a known failure state, no outputs, nothing charged."""
        return self.state is JobState.FAILED and not self.outputs and not self.credits_charged


def parse_job(job_id: str, body: bytes) -> Job | None:
    """The job document in `body`, read leniently, or None where it is not one about `job_id`."""
    document = json_object(body)
    status = document.get("status")
    if not isinstance(status, str) or str(document.get("id") or job_id) != job_id:
        return None
    model, complaint = document.get("model"), complaint_in(document)
    return Job(
        id=job_id,
        status=status,
        outputs=_outputs(document),
        credits_charged=_credits(document.get("credits_charged")),
        error=complaint.words,
        model=model if isinstance(model, str) else None,
        error_code=complaint.code,
    )


def _outputs(document: Mapping[str, Any]) -> tuple[Output, ...]:
    output = document.get("output")
    listed = output.get("outputs") if isinstance(output, dict) else document.get("outputs")
    if not isinstance(listed, list):
        return ()
    return tuple(
        Output(url=entry["url"], type=str(entry.get("type") or "image"))
        for entry in listed
        if isinstance(entry, dict) and isinstance(entry.get("url"), str) and entry["url"]
    )


def _credits(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return None
    return float(value)
