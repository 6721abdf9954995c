"""What a user asks of a run, in the words that the flow and the command line share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from prefect_trinetra.budget import Budget
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.reasons import RETRY_WORDS, RetryWord
from prefect_trinetra.request import ImageParameters

__all__ = ["DEFAULT_RETRY", "ManifestSource", "RunLimits", "RunSpec"]

# What the tables hold a sample's number in.
MOST_SAMPLES: Final = 2**31

ManifestSource = str | list[str] | list[dict[str, Any]]

# Only what certainly cost nothing and may go well another time.
DEFAULT_RETRY: Final[frozenset[RetryWord]] = frozenset({Outcome.FAILED})


class RunLimits(BaseModel):
    """How fast a run may go and how long it may wait."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs_in_flight: int = Field(
        64,
        ge=1,
        le=100_000,
        title="Jobs in flight",
        description="Jobs submitted and not finished, at most, per process.",
    )
    requests_per_minute: float | None = Field(
        None,
        gt=0,
        title="Requests per minute",
        description="The account's limit on submissions, if you know it.",
    )
    images_per_minute: float | None = Field(
        None, gt=0, title="Images per minute", description="The account's limit on images, if you know it."
    )
    shard_size: int = Field(
        500,
        ge=1,
        le=100_000,
        title="Shard size",
        description="Rows that are worked on together: one Prefect task run.",
    )
    job_deadline_seconds: float = Field(
        900.0,
        gt=0,
        title="Job deadline (seconds)",
        description="A job not done by then is left pending for the next run.",
    )
    run_deadline_seconds: float | None = Field(
        None,
        gt=0,
        title="Run deadline (seconds)",
        description="Nothing is submitted after it; what is not done is pending.",
    )


@dataclass(frozen=True)
class RunSpec:
    """One run as asked for: which manifest becomes which dataset, how, and at what cost at most.

    `dataset` and `manifest` are fsspec URLs or paths; the `..._options` are fsspec storage options and may hold
    secrets, so they are not shown. `max_credits` is the cap in credits, None for none. `plan_id` names a
    saved plan that is to be carried out as it stands. `tolerated_failures` is a share.
    """

    manifest: ManifestSource
    dataset: str
    parameters: ImageParameters = field(default_factory=ImageParameters)
    columns: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None
    samples: int = 1
    sample_base: int = 0
    """The number of the first sample: another one asks for other pictures of the same prompts."""
    max_credits: float | None = None
    budget: Budget | None = None
    plan_id: str | None = None
    limits: RunLimits = field(default_factory=RunLimits)
    retry: frozenset[RetryWord] = DEFAULT_RETRY
    tolerated_failures: float = 0.0
    wait: bool = True
    """Whether to wait for another run that is at work in the dataset, instead of ending at once."""
    lease: bool = True
    """Whether to hold the dataset. Without it nothing keeps two runs apart: start one at a time."""
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    manifest_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ConfigurationError(f"samples is {self.samples}: ask for 1 or more pictures of each prompt")
        if not 0 <= self.sample_base <= MOST_SAMPLES - self.samples:
            raise ConfigurationError(f"sample_base is {self.sample_base}: give 0 or more, below {MOST_SAMPLES:,}")
        if self.max_credits is not None and not 0 <= self.max_credits < float("inf"):
            raise ConfigurationError(f"max_credits is {self.max_credits}: give 0 or more credits, or leave it out")
        if not 0 <= self.tolerated_failures <= 1:
            raise ConfigurationError(f"tolerated_failures is {self.tolerated_failures}: give a share from 0 to 1")
        if wrong := sorted(self.retry - {*RETRY_WORDS}):
            raise ConfigurationError(f"retry names {', '.join(wrong)}: choose from {', '.join(RETRY_WORDS)}")
