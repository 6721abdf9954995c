"""What an answer to a GET means: a look at a job, and a download. Pure. (For a POST: acceptance.)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from prefect_trinetra.errors import (
    DownloadDamaged,
    DownloadExpired,
    DownloadInterrupted,
    JobGone,
    JobUnreadable,
)
from prefect_trinetra.outcomes import Job, parse_job
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.retry_after import parse_retry_after

__all__ = ["Answer", "Download", "downloaded", "job_seen", "redirect_target"]

# The job or the output is not to be had with this key at this address; whether for good, nobody says.
GONE: Final = frozenset({401, 403, 404, 410})
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# Answers that ask to come again: request time-out, too early, too many requests.
COME_AGAIN: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, as far as it came. `headers` finds lower-case names.

    `broken` says in words why the body ended before its end; `cut` that it was longer than what is read.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: str | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Download:
    """One output's bytes as received, and the media type that the server gave them (lower case, "" for none)."""

    data: bytes
    content_type: str


def job_seen(job_id: str, answer: Answer) -> Job:
    """The job document in an answer to a look.

    Raises JobGone for 401, 403, 404 and 410, JobUnreadable (with the server's hint) for everything else.
    """
    if answer.status in GONE:
        message = f"job {job_id} can't be seen ({answer.status}): it stays pending, the next run looks again"
        raise JobGone(message, job_id=job_id, status=answer.status)
    if answer.status != HTTPStatus.OK:
        raise JobUnreadable(
            f"a look at job {job_id} was answered {answer.status}",
            job_id=job_id,
            retry_after_seconds=parse_retry_after(answer.headers.get("retry-after"), answer.headers.get("date")),
        )
    job = parse_job(job_id, answer.body)
    if job is None:
        why = answer.broken or "it is no document of that job"
        raise JobUnreadable(f"the answer to a look at job {job_id} can't be used: {why}", job_id=job_id)
    return job


def redirect_target(answer: Answer) -> str | None:
    """The Location of a redirect, which may be relative; None for an answer that is none."""
    return answer.headers.get("location") if answer.status in REDIRECTS else None


def downloaded(host: str, answer: Answer) -> Download:
    """The picture's bytes in an answer of `host`; whether they are a picture is for `images.verify` to say.

    Raises DownloadExpired, DownloadInterrupted or DownloadDamaged.
    """
    _check_download_status(host, answer.status)
    if answer.broken is not None:
        raise DownloadInterrupted(f"the download from {host} broke off: {answer.broken}")
    if answer.cut:
        raise DownloadDamaged(
            f"the output on {host} is larger than TRINETRA_MAX_IMAGE_BYTES allows: raise it if that is what you want",
            reason_class=ReasonClass.IMAGE_TOO_LARGE,
        )
    content_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if _is_a_page(content_type):
        raise DownloadDamaged(f"{host} sent {content_type}, not an image")
    if not answer.body:
        raise DownloadDamaged(f"{host} sent an empty body")
    return Download(answer.body, content_type)


def _check_download_status(host: str, status: int) -> None:
    if status in GONE:
        raise DownloadExpired(f"{host} answered {status}: the output's URL no longer works")
    if status in COME_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise DownloadInterrupted(f"{host} answered {status}")
    if status != HTTPStatus.OK:
        raise DownloadDamaged(f"{host} answered {status}, which is no download")


def _is_a_page(content_type: str) -> bool:
    return content_type in {"text/html", "application/xhtml+xml"} or content_type.endswith(("/json", "+json"))
