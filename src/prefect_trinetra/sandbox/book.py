"""The account book: every job that was accepted, what it cost, and so what was really bought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from time import time
from typing import Any

from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.faults import FaultDice
from prefect_trinetra.sandbox.jobs import Job, decide_fate, duration_seconds
from prefect_trinetra.sandbox.order import MODEL, Order, Refusal

__all__ = ["Book", "Traffic"]


@dataclass(slots=True)
class Traffic:
    """What has been knocked at, whether or not it was granted."""

    submits: int = 0
    polls: int = 0
    downloads: int = 0
    webhooks: int = 0
    key_leaks: int = 0  # the API key seen where it has no business
    redirects_followed: int = 0  # submits repeated at the place a redirect named
    by_idempotency_key: Counter[str] = field(default_factory=Counter)


class Book:
    """Jobs by id and by order. `clock` is monotonic and counts seconds."""

    def __init__(self, config: SandboxConfig, dice: FaultDice, clock: Callable[[], float]) -> None:
        self.traffic = Traffic()
        self.jobs: dict[str, Job] = {}
        self._config = config
        self._dice = dice
        self._clock = clock
        self._balance = config.balance
        self._orders: dict[Order, list[Job]] = {}
        self._by_idempotency_key: dict[str, Job] = {}

    def repeated(self, idempotency_key: str | None) -> Job | None:
        """The job that this Idempotency-Key has bought, if the account honours the header."""
        if idempotency_key is None or not self._config.honours_idempotency_key:
            return None
        return self._by_idempotency_key.get(idempotency_key)

    def check_balance(self, order: Order) -> None:
        """Raises Refusal 402 if the order's list price is more than what is left."""
        price = order.n * self._config.price(order.quality)
        if self._balance is not None and price > self._balance:
            message = f"This job costs {price:g} credits; the account has {self._balance:g} left."
            raise Refusal(402, "insufficient_credits", message)

    def accept(self, order: Order, idempotency_key: str | None) -> Job:
        """Enter a job. From here on it runs, and is billed when it succeeds, whoever knows of it."""
        known = self._orders.setdefault(order, [])
        order = known[0].order if known else order  # equal bodies are kept once
        subject = f"{order.digest} {len(known)}"
        fate = decide_fate(order, subject, self._config, self._dice)
        now = self._clock()
        ends_at = now + duration_seconds(self._config, subject, fate)
        job_id = self._job_id(subject)
        job = Job(job_id, order, len(known), fate, now, ends_at, idempotency_key=idempotency_key)
        known.append(job)
        self.jobs[job_id] = job
        self._pay(job.final_credits)
        if idempotency_key is not None:
            self._by_idempotency_key.setdefault(idempotency_key, job)
            self.traffic.by_idempotency_key[idempotency_key] += 1
        return job

    def fail(self, job: Job, error: str) -> None:
        """End a job that could not begin, and give its credits back."""
        self._pay(-job.final_credits)
        job.error = error

    def top_up(self, credits_: float) -> float | None:
        """Add to the balance. Returns what it is now, None where the account has no limit."""
        if self._balance is not None:
            self._balance += credits_
        return self._balance

    def set_pace(self, job_seconds: float) -> None:
        """Let jobs that are accepted from now on take another median time, in seconds from 0."""
        self._config = SandboxConfig.model_validate({**self._config.model_dump(), "job_seconds": job_seconds})

    @property
    def balance(self) -> float | None:
        """Credits left when everything that is running has ended."""
        return self._balance

    def bill(self) -> dict[str, Any]:
        """What was bought so far, by time alone: whether anybody looked doesn't matter."""
        now = self._clock()
        bodies = [self._body_bill(jobs, now) for jobs in self._orders.values()]
        return {
            "jobs_accepted": len(self.jobs),
            "images": sum(body["images"] for body in bodies),
            "credits": sum(body["credits"] for body in bodies),
            "credits_if_all_finish": sum(job.final_credits for job in self.jobs.values()),
            "balance": self._balance,
            **self._traffic_bill(),
            "fault_hits": {name: hits for name, hits in self._dice.hits.items() if hits},
            "bodies": bodies,
            "jobs": [
                self._job_bill(job, index, now) for index, jobs in enumerate(self._orders.values()) for job in jobs
            ],
        }

    def _body_bill(self, jobs: list[Job], now: float) -> dict[str, Any]:
        ended = [job for job in jobs if job.ended(now)]
        return {
            "body": jobs[0].order.body,
            "jobs": len(jobs),
            "billed_jobs": sum(job.final_credits > 0 for job in ended),
            "images": sum(job.final_images for job in ended if job.final_credits > 0),
            "credits": sum(job.final_credits for job in ended),
            "statuses": dict(Counter(job.status(now) for job in jobs)),
        }

    def _job_bill(self, job: Job, body_index: int, now: float) -> dict[str, Any]:
        ended = job.ended(now)
        since_epoch = time() - now
        return {
            "id": job.id,
            "body_index": body_index,
            "status": job.status(now),
            "images": job.final_images if ended else 0,
            "credits": job.final_credits if ended else 0,
            "looks": job.looks,
            "accepted_at": job.accepted_at + since_epoch,
            "ends_at": None if job.ends_at == inf else job.ends_at + since_epoch,
            "idempotency_key": job.idempotency_key,
        }

    def _traffic_bill(self) -> dict[str, Any]:
        traffic = self.traffic
        return {
            "submits": traffic.submits,
            "polls": traffic.polls,
            "downloads": traffic.downloads,
            "webhooks": traffic.webhooks,
            "key_leaks": traffic.key_leaks,
            "redirects_followed": traffic.redirects_followed,
            "by_idempotency_key": dict(traffic.by_idempotency_key),
        }

    def _job_id(self, subject: str) -> str:
        digest = blake2b(f"{self._config.seed} {subject}".encode(), digest_size=8).hexdigest()
        return f"job_{MODEL.replace('-', '')}_{digest}"

    def _pay(self, credits_: float) -> None:
        if self._balance is not None:
            self._balance -= credits_
