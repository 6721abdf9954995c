"""Everything that can go wrong, each thing on a switch of its own: a rate from 0 (never) to 1 (always)."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FaultDice", "Faults", "chance"]

Rate = Annotated[float, Field(ge=0, le=1)]


class Faults(BaseModel):
    """A rate for every fault. They fall in five groups, by the moment at which they strike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A submit that buys nothing.
    rate_limited: Rate = Field(0.0, description="429 with Retry-After.")
    rate_limited_bare: Rate = Field(0.0, description="429 without Retry-After.")
    unavailable: Rate = Field(0.0, description="503 with Retry-After.")
    error_before: Rate = Field(0.0, description="500 before the job is accepted.")
    redirect_submit: Rate = Field(0.0, description="307 to a place that is not the API.")
    unauthorized: Rate = Field(0.0, description="401, as if the key had been revoked.")
    forbidden: Rate = Field(0.0, description="403, as if the key might not order any more.")

    # A submit that buys a job and doesn't say so.
    error_after: Rate = Field(0.0, description="500 after the job was accepted.")
    bare_503: Rate = Field(0.0, description="503 without Retry-After, as proxies answer after acceptance.")
    lost_answer: Rate = Field(0.0, description="Accepted, then the connection is closed without an answer.")
    reset_answer: Rate = Field(0.0, description="Accepted, then the connection is reset.")
    half_answer: Rate = Field(0.0, description="Accepted, then the connection ends in the middle of the body.")
    hang_after: Rate = Field(0.0, description="Accepted, then no answer for hang_seconds.")
    garbled: Rate = Field(0.0, description="Accepted, 202 with a body that is not JSON.")
    no_id: Rate = Field(0.0, description="Accepted, 202 without a job id.")

    # A job that takes its own course, decided when it is accepted.
    slow_jobs: Rate = Field(0.0, description="Ten times the time.")
    stuck_jobs: Rate = Field(0.0, description="Processing for ever; never billed.")
    failed_jobs: Rate = Field(0.0, description="Failed with an error object, no outputs, nothing charged.")
    unknown_state: Rate = Field(0.0, description="Ends in a state nobody listed, without outputs; not billed.")
    unknown_state_with_outputs: Rate = Field(0.0, description="The same with outputs, and billed.")
    missing_credits: Rate = Field(0.0, description="No credits_charged in the document; billed all the same.")
    overcharged: Rate = Field(0.0, description="Twice the list price.")
    fewer_outputs: Rate = Field(0.0, description="One output fewer than n; billed per image delivered.")
    extra_outputs: Rate = Field(0.0, description="One output more than n; n are billed.")
    empty_outputs: Rate = Field(0.0, description="Succeeded with no outputs; nothing is billed.")
    non_image_output: Rate = Field(0.0, description="The first output is of type text.")
    wrong_model: Rate = Field(0.0, description="The document names another model.")

    # A look at a job.
    poll_error: Rate = Field(0.0, description="500 on GET of a job.")
    poll_reset: Rate = Field(0.0, description="GET of a job: the connection is reset without an answer.")
    poll_hang: Rate = Field(0.0, description="GET of a job: no answer for hang_seconds.")
    poll_missing: Rate = Field(0.0, description="404 on GET of a job that exists.")

    # A webhook. None of them is about the job itself.
    webhook_lost: Rate = Field(0.0, description="The webhook is not sent.")
    webhook_late: Rate = Field(0.0, description="The webhook is sent webhook_late_seconds after the job's end.")
    webhook_doubled: Rate = Field(0.0, description="The webhook is sent three times.")
    webhook_early: Rate = Field(0.0, description="A webhook that says succeeded also comes halfway through the job.")
    webhook_false: Rate = Field(0.0, description="The webhook names another state, price and output than the job has.")
    webhook_stranger: Rate = Field(0.0, description="A webhook about a job that nobody ordered comes, too.")
    webhook_garbage: Rate = Field(0.0, description="Bodies that are no job document come, too.")
    webhook_flood: Rate = Field(0.0, description="A hundred webhooks about jobs that nobody ordered come, too.")

    # A download. Those about a picture itself stay with it; the others may go well at the next try.
    truncated: Rate = Field(0.0, description="The connection ends after half of the announced bytes.")
    html: Rate = Field(0.0, description="200 with a text/html page.")
    empty_body: Rate = Field(0.0, description="200 with no bytes.")
    slow_download: Rate = Field(0.0, description="The bytes trickle for slow_download_seconds.")
    oversized: Rate = Field(0.0, description="A body that does not end.")
    redirect_download: Rate = Field(0.0, description="302 to another CDN path that works.")
    redirect_outside: Rate = Field(0.0, description="302 to a link-local address of a cloud's metadata.")
    wrong_format: Rate = Field(0.0, description="Sticks: JPEG bytes where png or webp was asked, else PNG.")
    wrong_type: Rate = Field(0.0, description="Sticks: content type application/octet-stream.")
    flat: Rate = Field(0.0, description="Sticks: a picture of one colour.")
    placeholder: Rate = Field(0.0, description="Sticks: the same grey picture, byte for byte, for every job.")
    expired: Rate = Field(0.0, description="Sticks: 403 on the URL first tried; a URL asked for later works.")
    gone: Rate = Field(0.0, description="Sticks: 403 always.")


def chance(*parts: object) -> float:
    """A number from 0 up to but not 1, the same for equal parts in every process."""
    digest = blake2b("\x1f".join(map(str, parts)).encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


class FaultDice:
    """Decides whether a fault strikes, by seed, fault, subject and how often that subject has come by."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.faults = faults
        self.hits: Counter[str] = Counter()
        self._seed = seed
        self._tries: Counter[tuple[str, str]] = Counter()

    def strikes(self, name: str, subject: str) -> bool:
        """Whether this try of the subject meets the fault; the next try is decided anew."""
        rate: float = getattr(self.faults, name)
        if rate == 0:
            return False
        self._tries[name, subject] += 1
        return self._decide(name, rate, subject, self._tries[name, subject])

    def sticks(self, name: str, subject: str) -> bool:
        """Whether the fault belongs to this subject, at every try."""
        rate: float = getattr(self.faults, name)
        return rate > 0 and self._decide(name, rate, subject, 0)

    def first(self, names: tuple[str, ...], subject: str) -> str | None:
        """The first of these faults that strikes, or None."""
        return next((name for name in names if self.strikes(name, subject)), None)

    def _decide(self, name: str, rate: float, subject: str, attempt: int) -> bool:
        hit = chance(self._seed, name, subject, attempt) < rate
        self.hits[name] += hit
        return hit
