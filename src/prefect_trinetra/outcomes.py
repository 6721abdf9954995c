"""What became of a row, and what an answer of the provider means. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final

import orjson

from prefect_trinetra.errors import AccountRefused, OutcomeUnknown, RateLimited, RequestRefused, Unavailable
from prefect_trinetra.retry_after import parse_retry_after

__all__ = [
    "FAILURES",
    "LEFT_OVER",
    "RETRYABLE",
    "Job",
    "JobState",
    "Outcome",
    "Output",
    "accepted_job",
    "parse_job",
    "parse_retry_after",
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

    @property
    def state(self) -> JobState:
        return STATES.get(self.status.strip().lower(), JobState.UNLISTED)

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


def accepted_job(status: int, headers: Mapping[str, str], body: bytes, *, retry_503: bool = False) -> Job:
    """The job that an answer to a POST speaks of. `headers` has lower-case names.

    `retry_503` is the user's word that a 503 without Retry-After was answered before acceptance, too.

    Raises RequestRefused, AccountRefused, RateLimited, Unavailable or OutcomeUnknown for every other answer;
    which one is the table "What an answer to a POST means" in docs/money.md.
    """
    if 200 <= status < 300:
        return _job_of_acceptance(status, body)
    retry_after = parse_retry_after(headers.get("retry-after"), headers.get("date"))
    if status == 429:
        raise RateLimited("the provider limits submissions (429)", retry_after_seconds=retry_after)
    if status == 503 and (retry_after is not None or retry_503):
        raise Unavailable("the provider is busy (503)", retry_after_seconds=retry_after)
    code, words = _complaint(_json_object(body))
    reason = words or "no reason given"
    if status in {400, 413, 422}:
        raise RequestRefused(f"refused with {status}: {reason}", status=status, code=code)
    if status in ACCOUNT_REMEDIES:
        raise AccountRefused(f"refused with {status}: {reason}. {ACCOUNT_REMEDIES[status]}", status=status, code=code)
    raise OutcomeUnknown(f"the provider answered {status}, which does not say whether the job was accepted")


ACCOUNT_REMEDIES: Final[Mapping[int, str]] = {
    401: "Check TRINETRA_API_KEY or the credentials block",
    402: "Top up the account's credits, then run again",
    403: "Check what the API key may do",
    404: "Check TRINETRA_BASE_URL: there is no such address",
    405: "Check TRINETRA_BASE_URL: that address takes no jobs",
}


def _job_of_acceptance(status: int, body: bytes) -> Job:
    document = _json_object(body)
    job_id = document.get("job_id") or document.get("id")
    if isinstance(job_id, int) and not isinstance(job_id, bool):
        job_id = str(job_id)
    if not isinstance(job_id, str) or not job_id.strip():
        raise OutcomeUnknown(f"the provider answered {status} without a job id")
    said = document.get("status")
    return Job(id=job_id, status=said if isinstance(said, str) else "queued")


def parse_job(job_id: str, body: bytes) -> Job | None:
    """The job document in `body`, read leniently, or None where it is not one about `job_id`."""
    document = _json_object(body)
    status = document.get("status")
    if not isinstance(status, str) or str(document.get("id") or job_id) != job_id:
        return None
    model = document.get("model")
    return Job(
        id=job_id,
        status=status,
        outputs=_outputs(document),
        credits_charged=_credits(document.get("credits_charged")),
        error=_complaint(document)[1],
        model=model if isinstance(model, str) else None,
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


# Enough for any sentence; a whole HTML page helps nobody.
MAX_REASON_CHARACTERS: Final = 300


def _complaint(document: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The code and the words of an error, in whichever of the usual shapes; nobody documents one."""
    error = next((document[name] for name in ("error", "detail", "message") if document.get(name)), None)
    code = error.get("code") or error.get("type") if isinstance(error, dict) else document.get("code")
    words = (error.get("message") or code or error) if isinstance(error, dict) else error
    return (_short(code) if code else None), (_short(words) if words else None)


def _short(value: object) -> str:
    return str(value)[:MAX_REASON_CHARACTERS]


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
