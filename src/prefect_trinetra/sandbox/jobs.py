"""A job: what becomes of it is decided when it is accepted, and shows as time goes by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Any, Final

from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.faults import FaultDice
from prefect_trinetra.sandbox.order import MODEL, Order

__all__ = ["Ending", "Fate", "Job", "decide_fate", "duration_seconds"]

# The share of its time that a job stands in the queue.
QUEUED_SHARE: Final = 0.25
SLOW_FACTOR: Final = 10.0
OVERCHARGE_FACTOR: Final = 2.0
OTHER_MODEL: Final = "gpt-image-1"


class Ending(Enum):
    """The terminal states that a job may reach; the last one is in nobody's list."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Fate:
    """How a job will end: its state, its outputs and its price in credits."""

    ending: Ending
    outputs: int
    credits: float
    stuck: bool = False
    slow: bool = False
    hides_credits: bool = False
    other_model: bool = False
    text_first: bool = False


@dataclass(slots=True, eq=False)
class Job:
    """One accepted submit. Times are seconds on the sandbox's monotonic clock."""

    id: str
    order: Order
    number: int  # of the order's jobs, from 0: it makes their pictures differ
    fate: Fate
    accepted_at: float
    ends_at: float
    looks: int = 0  # how often it was asked for
    issue: int = 0  # how often its outputs' URLs were handed out
    error: str | None = None  # why an edit could not begin
    source: bytes | None = None  # the picture to edit
    idempotency_key: str | None = None

    def ended(self, now: float) -> bool:
        """Whether it has reached its terminal state."""
        return now >= self.ends_at

    def status(self, now: float) -> str:
        """Its state as the document names it."""
        if self.ended(now):
            return Ending.FAILED.value if self.error is not None else self.fate.ending.value
        waited = now - self.accepted_at
        queued_seconds = QUEUED_SHARE * min(self.ends_at - self.accepted_at, 60.0)
        return "queued" if waited < queued_seconds else "processing"

    @property
    def final_images(self) -> int:
        """The outputs it has once it has ended, unless it never does."""
        return 0 if self.error is not None or self.fate.stuck else self.fate.outputs

    @property
    def final_credits(self) -> float:
        """What it costs once it has ended."""
        return 0.0 if self.error is not None or self.fate.stuck else self.fate.credits

    def document(self, now: float, urls: list[str]) -> dict[str, Any]:
        """The job document of the provider's page; the URLs are used once it has ended."""
        document: dict[str, Any] = {
            "id": self.id,
            "model": OTHER_MODEL if self.fate.other_model else MODEL,
            "status": self.status(now),
        }
        if self.ended(now):
            document |= self._ending(urls)
        return document

    def _ending(self, urls: list[str]) -> dict[str, Any]:
        if self.error is not None:
            return {"error": {"code": "invalid_image_url", "message": self.error}, "credits_charged": 0}
        if self.fate.ending is Ending.FAILED:
            error = {"code": "generation_failed", "message": "The model could not make this picture."}
            return {"error": error, "credits_charged": 0}
        ending: dict[str, Any] = {}
        if urls or self.fate.ending is Ending.SUCCEEDED:
            kinds = ["text" if self.fate.text_first and not index else "image" for index in range(len(urls))]
            outputs = [{"url": url, "type": kind} for url, kind in zip(urls, kinds, strict=True)]
            ending["output"] = {"outputs": outputs}
        if not self.fate.hides_credits:
            ending["credits_charged"] = _plain(self.fate.credits)
        return ending


def _plain(credits_: float) -> float:
    return int(credits_) if credits_ == int(credits_) else credits_


def duration_seconds(config: SandboxConfig, subject: str, fate: Fate) -> float:
    """How long the job takes: lognormal around the median, infinite if it is stuck."""
    if fate.stuck:
        return math.inf
    if config.job_seconds == 0:
        return 0.0
    spread = Random(f"{config.seed} {subject}").gauss(0.0, config.job_sigma)
    return config.job_seconds * math.exp(spread) * (SLOW_FACTOR if fate.slow else 1.0)


def decide_fate(order: Order, subject: str, config: SandboxConfig, dice: FaultDice) -> Fate:
    """How the job will end, by the faults that are switched on now."""
    outputs, price = _outputs(order, subject, dice), config.price(order.quality)
    credits_ = price * min(outputs, order.n)
    ending = Ending.SUCCEEDED
    if dice.strikes("failed_jobs", subject):
        ending, outputs, credits_ = Ending.FAILED, 0, 0.0
    elif dice.strikes("unknown_state", subject):
        ending, outputs, credits_ = Ending.ARCHIVED, 0, 0.0
    elif dice.strikes("unknown_state_with_outputs", subject):
        ending = Ending.ARCHIVED
    return Fate(
        ending,
        outputs,
        credits_ * (OVERCHARGE_FACTOR if dice.strikes("overcharged", subject) else 1.0),
        stuck=dice.strikes("stuck_jobs", subject),
        slow=dice.strikes("slow_jobs", subject),
        hides_credits=dice.strikes("missing_credits", subject),
        other_model=dice.strikes("wrong_model", subject),
        text_first=dice.strikes("non_image_output", subject),
    )


def _outputs(order: Order, subject: str, dice: FaultDice) -> int:
    if dice.strikes("empty_outputs", subject):
        return 0
    fewer, extra = dice.strikes("fewer_outputs", subject), dice.strikes("extra_outputs", subject)
    return order.n - fewer + extra
