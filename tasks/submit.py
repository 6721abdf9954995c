"""One POST as a task: what is certainly not accepted is sent again after a wait, nothing else is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from prefect import task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.runtime import flow_run

from prefect_trinetra.blocks.credentials import TrinetraCredentials, account_of
from prefect_trinetra.dataset import idempotency_key
from prefect_trinetra.errors import ConfigurationError, NotAccepted
from prefect_trinetra.loop import io_loop
from prefect_trinetra.provider import provider_for
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.settings import Account, load_settings
from prefect_trinetra.spec import RunLimits
from prefect_trinetra.tasks.flights import Flights
from prefect_trinetra.tasks.jobs import Job, account_fingerprint, image_request

__all__ = ["asubmit_job", "submit_job"]

# The waits between them are the pacer's, which honours Retry-After and holds back every submission of the process.
SUBMIT_RETRIES: Final = 10
# Stands where a dataset's id would: a POST outside a dataset.
NO_DATASET: Final = ""


@dataclass(frozen=True)
class _Order:
    """A request, who pays for it, and which of its repeats it is."""

    request: ImageRequest
    account: Account
    sample: int
    attempt: int

    @property
    def name(self) -> str:
        """The same for equal orders of one account; holds neither key nor prompt."""
        return f"{account_fingerprint(self.account)}-{self.request.key(self.sample)}-{self.attempt}"

    async def post(self) -> Job:
        provider = provider_for(self.account, load_settings(), RunLimits())
        admitted_at = await provider.pacer.admit(self.request.n)
        begun_at = time.time()
        key = idempotency_key(NO_DATASET, self.request.key(self.sample), self.attempt)
        try:
            accepted = await provider.client.submit(self.request, idempotency_key=key)
        except NotAccepted as error:
            provider.pacer.pause(error.retry_after_seconds, admitted_at=admitted_at)
            raise
        provider.pacer.accepted(admitted_at=admitted_at)
        return Job.ordered(
            accepted.id, self.account, self.request, sample=self.sample, attempt=self.attempt, at=begun_at
        )


_flights: Final[Flights[Job]] = Flights()


async def _submit(order: _Order, scope: str | None) -> Job:
    """Equal orders of one flow run are one POST; outside of flow runs, those made at the same time."""
    return await _flights.share(f"{scope}/{order.name}", order.post, remember=scope is not None)


def _order(
    request: str | Mapping[str, Any] | ImageRequest,
    credentials: TrinetraCredentials | None,
    sample: int,
    attempt: int,
    parameters: Mapping[str, Any],
) -> _Order:
    if sample < 0 or attempt < 1:
        raise ConfigurationError(f"sample is {sample} and attempt {attempt}: count samples from 0 and attempts from 1")
    return _Order(image_request(request, parameters), account_of(credentials), sample, attempt)


def _cache_key(_context: TaskRunContext, inputs: dict[str, Any]) -> str | None:
    known = {"credentials": None, "sample": 0, "attempt": 1, "parameters": {}} | inputs
    try:
        return f"trinetra-submit-{_order(**known).name}"
    except ConfigurationError:
        return None  # the task itself says what is wrong


def _was_not_accepted(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.data, NotAccepted)


@task(name="submit_job", retries=SUBMIT_RETRIES, retry_condition_fn=_was_not_accepted, cache_key_fn=_cache_key)
def submit_job(
    request: str | Mapping[str, Any] | ImageRequest,
    *,
    credentials: TrinetraCredentials | None = None,
    sample: int = 0,
    attempt: int = 1,
    **parameters: Any,
) -> Job:
    """
    Orders one request, a prompt being enough, and returns its job.

    The job's id is cached by account, request, `sample` and `attempt` (in Prefect's result storage, which is a memo and
    no ledger): count `sample` up for another picture of the same prompt, `attempt` to order again what failed. Equal
    orders within one flow run are one POST. A POST that was certainly not accepted (429, 503 with Retry-After, no
    connection) is sent again after a wait; one whose outcome is unknown never is. Use a dataset where that has to
    hold over crashes and reruns, too.

    Args:
        request: A prompt, a dictionary of fields, or an ImageRequest.
        credentials: The account that pays; else TRINETRA_API_KEY and TRINETRA_BASE_URL of the environment count.
        sample: Which of the wanted repeats of this request it is, from 0.
        attempt: Which POST of this request and sample it is, from 1.
        **parameters: Fields of the request, such as quality="low".

    Raises:
        RequestRefused: The provider will not do it (AccountRefused: key, credits or address are wrong).
        NotAccepted: It was not accepted, however often it was sent.
        OutcomeUnknown: Nobody can tell whether it was accepted; it may be charged.
        ConfigurationError: A field, the key or the address is wrong; nothing was sent.
    """
    order = _order(request, credentials, sample, attempt, parameters)
    return io_loop().run(_submit(order, flow_run.get_id()))


@task(name="submit_job", retries=SUBMIT_RETRIES, retry_condition_fn=_was_not_accepted, cache_key_fn=_cache_key)
async def asubmit_job(
    request: str | Mapping[str, Any] | ImageRequest,
    *,
    credentials: TrinetraCredentials | None = None,
    sample: int = 0,
    attempt: int = 1,
    **parameters: Any,
) -> Job:
    """`submit_job` for async flows."""
    order = _order(request, credentials, sample, attempt, parameters)
    return await io_loop().arun(_submit(order, flow_run.get_id()))
