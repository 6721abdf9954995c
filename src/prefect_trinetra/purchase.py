"""One POST: an intent before it, its answer after it, both durable, and nothing in between that can be cut off."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from prefect_trinetra.dataset import idempotency_key
from prefect_trinetra.errors import AccountRefused, NotAccepted, OutcomeUnknown, RateLimited, RequestRefused
from prefect_trinetra.journal import Journal
from prefect_trinetra.lease import Fence
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.pacing import InFlight, Pacer
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.shards import ShardRow
from prefect_trinetra.steps import Steps, Submission

__all__ = ["Buyer", "StopSign"]

logger = logging.getLogger(__name__)

# How long one row keeps asking a provider that takes nothing before it is left for the next run.
PATIENCE_SECONDS: Final = 900.0


@dataclass
class StopSign:
    """Says that nothing more is to be submitted, and why; what is in flight is still collected."""

    reason: str | None = None
    deadline: float | None = None
    """Seconds since the epoch after which nothing is submitted."""
    of_plan: StopSign | None = None
    """What stops every shard of its plan in this process."""

    def stop(self, reason: str) -> None:
        self.reason = self.reason or reason

    def stop_plan(self, reason: str) -> None:
        """For a reason that concerns every row: the account, or what the provider charges."""
        self.stop(reason)
        if self.of_plan is not None:
            self.of_plan.stop(reason)

    def is_up(self) -> bool:
        """Whether submitting has ended; from the deadline on it has."""
        if self.reason is None and self.of_plan is not None:
            self.reason = self.of_plan.reason
        if self.reason is None and self.deadline is not None and time.time() >= self.deadline:
            self.reason = "the run's deadline has passed"
        return self.reason is not None


@dataclass
class Buyer:
    """Submits rows of one shard, one POST at a time each."""

    journal: Journal
    steps: Steps
    pacer: Pacer
    posts: InFlight
    """As many POSTs at once as there are connections: an intent that waits for one would be unknown after a crash."""
    dataset_id: str
    stop: StopSign
    fence: Fence = field(default_factory=Fence)
    now: Callable[[], float] = time.time
    _posts: set[asyncio.Task[Attempt]] = field(default_factory=set)

    async def buy(self, row: ShardRow, attempt: Attempt) -> Attempt:
        """The attempt with its answer: accepted, refused or unknown, or void when submitting stopped before.

        A POST that was certainly not accepted is closed by a void, and sent again under the same attempt after a wait.
        """
        give_up = self.now() + PATIENCE_SECONDS
        while True:
            answered = await self._one_post(row, attempt)
            if answered.state is not AttemptState.VOID or self.stop.is_up() or self.now() > give_up:
                return answered

    async def _one_post(self, row: ShardRow, attempt: Attempt) -> Attempt:
        async with self.posts:
            admitted_at = await self.pacer.admit_unless(self.stop.is_up, row.request.n)
            if admitted_at is None or not await self._may_order():
                return _void(attempt, self.stop.reason, ReasonClass.NOT_SUBMITTED)
            return await self._shielded(row, replace(attempt, begun_at=self.now()), admitted_at)

    async def _may_order(self) -> bool:
        """Whether submitting goes on, and nobody else does this work by now."""
        if not await self.fence.holds():
            self.stop.stop(self.fence.words)
        return not self.stop.is_up()

    async def settle(self, patience_seconds: float) -> None:
        """Waits until every POST under way has its answer in the journal."""
        if self._posts:
            await asyncio.wait(self._posts, timeout=patience_seconds)

    async def _shielded(self, row: ShardRow, attempt: Attempt, admitted_at: float) -> Attempt:
        post = asyncio.create_task(self._post(row, attempt, admitted_at))
        self._posts.add(post)
        post.add_done_callback(self._posts.discard)
        return await asyncio.shield(post)

    async def _post(self, row: ShardRow, attempt: Attempt, admitted_at: float) -> Attempt:
        await self.journal.append(attempt)
        answered = replace(await self._answer(row, attempt, admitted_at), answered_at=self.now(), request=None)
        await self.journal.append(answered)
        return replace(answered, request=attempt.request)

    async def _answer(self, row: ShardRow, attempt: Attempt, admitted_at: float) -> Attempt:
        # Once more, since the intent may have waited long for its storage.
        if not await self._may_order():
            return _void(attempt, self.stop.reason, ReasonClass.NOT_SUBMITTED)
        key = idempotency_key(self.dataset_id, row.key, row.attempt)
        try:
            job = await self.steps.submit(Submission(row.request, row.key, row.sample, row.attempt, key))
        except NotAccepted as error:
            limited = isinstance(error, RateLimited)
            self.pacer.pause(error.retry_after_seconds, admitted_at=admitted_at, limited=limited)
            return _void(attempt, str(error), ReasonClass.NOT_ACCEPTED)
        except RequestRefused as error:
            if isinstance(error, AccountRefused):
                self.stop.stop_plan(str(error))
            return replace(attempt, state=AttemptState.REFUSED, reason=str(error), reason_class=error.reason_class)
        except OutcomeUnknown as error:
            return replace(attempt, state=AttemptState.UNKNOWN, reason=str(error), reason_class=error.reason_class)
        except Exception as error:  # whatever it was, the POST may have gone out: never guess, and never hide it
            logger.exception("submitting row %d ended in an error of ours", row.row)
            reason, own = f"submitting broke off: {error!r}", ReasonClass.OWN_ERROR
            return replace(attempt, state=AttemptState.UNKNOWN, reason=reason, reason_class=own)
        self.pacer.accepted(admitted_at=admitted_at)
        return replace(attempt, state=AttemptState.ACCEPTED, job_id=job.id)


def _void(attempt: Attempt, reason: str | None, reason_class: ReasonClass) -> Attempt:
    return replace(attempt, state=AttemptState.VOID, reason=reason, reason_class=reason_class)
