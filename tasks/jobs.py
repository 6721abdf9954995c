"""A job as the tasks hand it on: plain data, with all that the next task needs to know of its request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from prefect_trinetra import outcomes
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.outcomes import Output
from prefect_trinetra.problems import problem_sentences
from prefect_trinetra.request import ImageParameters, ImageRequest, OutputFormat, Quality
from prefect_trinetra.settings import Account

__all__ = ["Job", "account_fingerprint", "image_request"]


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `submitted_at` is in seconds since the epoch; `credits_charged` is None where nobody said.

    `outputs` are there once the job was polled: signed URLs of limited life, never shown, cached or persisted.
    """

    id: str
    base_url: str
    key: str
    sample: int
    attempt: int
    model: str
    quality: Quality
    n: int
    aspect_ratio: str
    output_format: OutputFormat
    submitted_at: float
    status: str = "queued"
    credits_charged: float | None = None
    outputs: tuple[Output, ...] = field(default=(), repr=False)

    @classmethod
    def ordered(
        cls, job_id: str, account: Account, request: ImageRequest, *, sample: int, attempt: int, at: float
    ) -> Job:
        """A job that was just accepted."""
        return cls(
            id=job_id,
            base_url=account.base_url,
            key=request.key(sample),
            sample=sample,
            attempt=attempt,
            model=request.model,
            quality=request.quality,
            n=request.n,
            aspect_ratio=request.aspect_ratio,
            output_format=request.output_format,
            submitted_at=at,
        )

    def seen_as(self, document: outcomes.Job) -> Job:
        """The same job as the provider last described it."""
        return replace(self, status=document.status, credits_charged=document.credits_charged, outputs=document.outputs)

    def document(self) -> outcomes.Job:
        """As the core knows a job."""
        return outcomes.Job(self.id, self.status, self.outputs, self.credits_charged)

    def parameters(self) -> ImageParameters:
        """What its images are checked against."""
        return ImageParameters(
            aspect_ratio=self.aspect_ratio, quality=self.quality, n=self.n, output_format=self.output_format
        )


def image_request(request: str | Mapping[str, Any] | ImageRequest, parameters: Mapping[str, Any]) -> ImageRequest:
    """The request that a prompt, fields or a request mean, with `parameters` on top. Raises ConfigurationError."""
    match request:
        case ImageRequest() if not parameters:
            return request
        case ImageRequest():
            fields: dict[str, Any] = request.model_dump(exclude_unset=True)
        case str():
            fields = {"prompt": request}
        case _:
            fields = dict(request)
    try:
        return ImageRequest(**{**fields, **parameters})
    except ValidationError as error:
        raise ConfigurationError("; ".join(problem_sentences(error))) from None


def account_fingerprint(account: Account) -> str:
    """Tells accounts apart in cache keys, without the key itself."""
    secret = account.api_key.get_secret_value()
    return hashlib.sha256(f"{account.base_url}\0{secret}".encode()).hexdigest()[:16]
