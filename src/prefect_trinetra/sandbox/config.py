"""What a sandbox is set up with. All times are in seconds; every option has a default."""

from __future__ import annotations

from enum import Enum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from prefect_trinetra.sandbox.faults import Faults

__all__ = ["LIST_PRICES", "PictureStyle", "SandboxConfig"]

# Credits per image, from the provider's page of gpt-image-2.
LIST_PRICES: Final = {"low": 3.0, "medium": 7.0, "high": 14.0}


class PictureStyle(Enum):
    """How pictures are made: worth looking at, or cheap enough for a load test."""

    DRAWN = "drawn"
    STAMPED = "stamped"


class SandboxConfig(BaseModel):
    """One sandbox: its keys, its speed, its money, its pictures and what goes wrong with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_keys: tuple[str, ...] = Field(("sandbox-key",), description="Keys that X-API-Key may carry.")
    job_seconds: float = Field(2.0, ge=0, description="Median time of a job; with 0 it has ended by the first look.")
    job_sigma: float = Field(0.3, ge=0, description="Spread of the lognormal job times; 0 makes all equal.")
    seed: int = Field(0, description="What all chance derives from: job ids, times, faults.")
    balance: float | None = Field(None, description="Credits of the account; None never answers 402.")
    credits_per_image: dict[str, float] = Field(
        default_factory=dict, description="The account's own prices by quality; list prices for the rest."
    )
    pixels: int = Field(512, ge=16, le=4096, description="Long edge of the pictures.")
    pictures: PictureStyle = Field(
        PictureStyle.DRAWN,
        description="drawn: each picture by itself; stamped: one per size and format, made unique by metadata.",
    )
    requests_per_second: float | None = Field(
        None, gt=0, description="Submits admitted per second, a second's worth at once; above it 429."
    )
    keep_alive_seconds: float = Field(5.0, gt=0, description="How long an idle connection is kept by the server.")
    url_lifetime_seconds: float | None = Field(None, gt=0, description="How long an output URL works; None: a week.")
    honours_idempotency_key: bool = Field(
        default=False, description="Whether a repeated Idempotency-Key answers with the first job."
    )
    webhook_url: str | None = Field(None, description="Where each job document is POSTed when its job ends.")
    webhook_late_seconds: float = Field(10.0, gt=0, description="How late a webhook_late is.")
    refuse_words: tuple[str, ...] = Field(
        ("forbidden-by-moderation",), description="Words that get a prompt refused, whatever their case."
    )
    slow_download_seconds: float = Field(5.0, gt=0, description="How long a slow_download takes.")
    hang_seconds: float = Field(600.0, gt=0, description="How long hang_after and poll_hang keep silent.")
    faults: Faults = Field(default_factory=Faults, description="How often each thing goes wrong.")

    def price(self, quality: str) -> float:
        """Credits for one image of that quality (low, medium or high)."""
        return self.credits_per_image.get(quality, LIST_PRICES[quality])
