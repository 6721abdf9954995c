"""What an answer to a POST means: a job, or an error that says what is certain. Pure. (For a GET: answers.)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prefect_trinetra.complaints import Complaint, complaint_in, json_object
from prefect_trinetra.errors import AccountRefused, OutcomeUnknown, RateLimited, RequestRefused, Unavailable
from prefect_trinetra.outcomes import Job
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.refusals import REFUSALS, refusal_class
from prefect_trinetra.retry_after import parse_retry_after

__all__ = ["accepted_job"]

_ACCOUNT_REMEDIES: Final[Mapping[ReasonClass, str]] = {
    ReasonClass.BAD_KEY: "Check TRINETRA_API_KEY or the credentials block",
    ReasonClass.NO_CREDITS: "Top up the account's credits, then run again",
    ReasonClass.NOT_ALLOWED: "Check what the API key may do",
    ReasonClass.BAD_ADDRESS: "Check TRINETRA_BASE_URL: that address takes no jobs",
}


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
    if status in REFUSALS:
        raise _refusal(status, complaint_in(json_object(body)))
    raise OutcomeUnknown(
        f"the provider answered {status}, which does not say whether the job was accepted",
        reason_class=_unknown_class(status),
    )


def _refusal(status: int, complaint: Complaint) -> RequestRefused:
    reason = f"refused with {status}: {complaint.words or 'no reason given'}"
    reason_class = refusal_class(status, complaint)
    if not reason_class.concerns_account:
        return RequestRefused(reason, status=status, code=complaint.code, reason_class=reason_class)
    reason = f"{reason.rstrip('.')}. {_ACCOUNT_REMEDIES[reason_class]}"
    return AccountRefused(reason, status=status, code=complaint.code, reason_class=reason_class)


def _unknown_class(status: int) -> ReasonClass:
    if status == 503:
        return ReasonClass.BARE_503
    if status >= 500:
        return ReasonClass.SERVER_ERROR
    return ReasonClass.REDIRECTED if 300 <= status < 400 else ReasonClass.ODD_ANSWER


def _job_of_acceptance(status: int, body: bytes) -> Job:
    document = json_object(body)
    job_id = document.get("job_id") or document.get("id")
    if isinstance(job_id, int) and not isinstance(job_id, bool):
        job_id = str(job_id)
    if not isinstance(job_id, str) or not job_id.strip():
        raise OutcomeUnknown(f"the provider answered {status} without a job id", reason_class=ReasonClass.NO_JOB_ID)
    said = document.get("status")
    return Job(id=job_id, status=said if isinstance(said, str) else "queued")
