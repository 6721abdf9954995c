"""What a webhook is read for: a job's id, and nothing else. Pure."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, NamedTuple

import orjson

__all__ = ["EVENT", "RESOURCE_PREFIX", "Notice", "Unreadable", "job_id_of", "read_notice", "resource_id"]

# The event that a webhook becomes; its resource is RESOURCE_PREFIX and the job's id.
EVENT: Final = "trinetra.job.finished"
RESOURCE_PREFIX: Final = "trinetra.job."
# Nobody documents what an id looks like, so this is wide: all that an address can carry as it is.
PLAUSIBLE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,127}")


class Unreadable(ValueError):
    """The body names no job."""


class Notice(NamedTuple):
    """Somebody says that this job ended. `digest` tells repeated bodies from others."""

    job_id: str
    digest: bytes


def read_notice(body: bytes) -> Notice:
    """The job that a body names, under the job document's `id`, else `job_id`. Raises Unreadable."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Unreadable("the body is not JSON") from None
    if not isinstance(document, dict):
        raise Unreadable("the body is not a JSON object")
    job_id = document.get("id") or document.get("job_id")
    if isinstance(job_id, int) and not isinstance(job_id, bool):
        job_id = str(job_id)
    if not isinstance(job_id, str) or not PLAUSIBLE_ID.fullmatch(job_id):
        raise Unreadable("the body has no usable job id")
    return Notice(job_id, sha256(body).digest())


def resource_id(job_id: str) -> str:
    """The job as Prefect's events name it."""
    return RESOURCE_PREFIX + job_id


def job_id_of(resource: str) -> str | None:
    """The job that a resource is, or None where it is something else. Events may come from anybody, too."""
    job_id = resource.removeprefix(RESOURCE_PREFIX)
    return job_id if job_id != resource and PLAUSIBLE_ID.fullmatch(job_id) else None
