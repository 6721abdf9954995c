"""What a job's end means for its row: an outcome, a reason, and the records to keep. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Final

from prefect_trinetra.ledger import Attempt
from prefect_trinetra.outcomes import Job, JobState, Outcome
from prefect_trinetra.outputs import Collected, LostImage, StoredImage
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.records import Record
from prefect_trinetra.refusals import failure_class
from prefect_trinetra.shards import ShardRow

__all__ = [
    "Ending",
    "aged",
    "ending_records",
    "ending_with_outputs",
    "ending_without_outputs",
    "row_record",
]

PACKAGE_VERSION: Final = version("prefect-trinetra")


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a row. `credits_charged` is None where the provider did not say; a success has no class."""

    outcome: Outcome
    reason: str | None = None
    credits_charged: float | None = None
    images: tuple[StoredImage, ...] = ()
    lost: tuple[LostImage, ...] = ()
    reason_class: ReasonClass | None = None


def aged(ending: Ending, *, age_seconds: float, lifetime_seconds: float) -> Ending:
    """What is pending stays so until its job's lifetime is over; then what came is all that comes."""
    if ending.outcome is not Outcome.PENDING or age_seconds <= lifetime_seconds:
        return ending
    reason = f"{ending.reason}; submitted {age_seconds / 86_400:.1f} days ago"
    if ending.images:
        return replace(ending, outcome=Outcome.SUCCEEDED, reason=reason, reason_class=None)
    return replace(ending, outcome=Outcome.EXPIRED, reason=reason, reason_class=ReasonClass.TOO_OLD)


def ending_without_outputs(job: Job) -> Ending:
    """Failed is narrow: a known failure state and nothing charged. Anything that may have cost is damaged.

    A job in a state that nobody lists may still become something: it is pending.
    """
    said = f": {job.error}" if job.error else ""
    match job.state:
        case JobState.FAILED if job.failed_for_free:
            reason = f"the job ended {job.status}{said}"
            return Ending(Outcome.FAILED, reason, 0.0, reason_class=failure_class(job.complaint))
        case JobState.FAILED:
            reason = f"the job ended {job.status} and was charged{said}"
            return Ending(Outcome.DAMAGED, reason, job.credits_charged, reason_class=ReasonClass.CHARGED_FAILURE)
        case JobState.SUCCEEDED:
            reason = f"the job {job.status} without any output"
            return Ending(Outcome.DAMAGED, reason, job.credits_charged, reason_class=ReasonClass.NO_OUTPUTS)
        case JobState.UNLISTED:
            reason = f"job {job.id} is {job.status!r}, a state that nobody lists, and shows no output"
            return Ending(Outcome.PENDING, reason, reason_class=ReasonClass.UNLISTED_STATE)
        case JobState.WAITING:
            return Ending(Outcome.PENDING, f"job {job.id} is {job.status}", reason_class=ReasonClass.NOT_DONE)


# Of outputs lost in several ways: what may still be had first, then what came and is no image.
_GRAVEST: Final = (Outcome.PENDING, Outcome.DAMAGED, Outcome.EXPIRED)


def ending_with_outputs(job: Job, collected: Sequence[Collected], wanted: int) -> Ending:
    """Succeeded if one image is; pending as long as an output may still be had; else damaged or expired."""
    images = tuple(each for each in collected if isinstance(each, StoredImage))
    lost = tuple(each for each in collected if isinstance(each, LostImage))
    reason = "; ".join(dict.fromkeys(each.reason for each in lost)) or None
    gravest = min(lost, key=lambda each: _GRAVEST.index(each.outcome), default=None)
    if gravest is not None and (gravest.outcome is Outcome.PENDING or not images):
        return Ending(gravest.outcome, reason, job.credits_charged, images, lost, gravest.reason_class)
    missing = f"{len(images)} of {wanted} outputs came" if len(images) < wanted else None
    said = "; ".join(filter(None, [missing, reason])) or None
    return Ending(Outcome.SUCCEEDED, said, job.credits_charged, images, lost)


def ending_records(row: ShardRow, attempt: Attempt, ending: Ending, now: float) -> list[Record]:
    """One record for each stored image and each lost one, or a single one for a row without outputs."""
    plain = row_record(row, attempt, ending, now)
    if not ending.images:
        return [plain]
    share = None if ending.credits_charged is None else ending.credits_charged / len(ending.images)
    plain = replace(plain, outputs_missing=max(0, row.request.n - len(ending.images)), credits_charged=None)
    stored = [_image_record(replace(plain, credits_charged=share), image) for image in ending.images]
    return stored + [
        replace(plain, index=lost.index, outcome=lost.outcome, reason=lost.reason, reason_class=lost.reason_class)
        for lost in ending.lost
    ]


def row_record(row: ShardRow, attempt: Attempt, ending: Ending, now: float) -> Record:
    """The record of a row as a whole, without an image."""
    return Record(
        key=row.key,
        index=0,
        sample=row.sample,
        attempt=attempt.attempt,
        outcome=ending.outcome,
        finished_at=now,
        reason=ending.reason,
        reason_class=ending.reason_class,
        job_id=attempt.job_id,
        credits_charged=ending.credits_charged,
        submitted_at=attempt.begun_at,
        request=attempt.request,
        package_version=PACKAGE_VERSION,
    )


def _image_record(plain: Record, image: StoredImage) -> Record:
    return replace(
        plain,
        index=image.index,
        outcome=Outcome.SUCCEEDED,
        reason_class=None,
        file_name=image.path,
        width=image.width,
        height=image.height,
        format=image.format,
        bytes=image.bytes,
        sha256=image.sha256,
        suspect=image.suspect,
        perceptual_hash=image.perceptual_hash,
    )
