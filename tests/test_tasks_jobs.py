"""What the tasks hand from one to the other: plain, whole, and without a secret."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.serializers import JSONSerializer, PickleSerializer, Serializer
from pydantic import SecretStr

from prefect_trinetra.errors import ConfigurationError, OutcomeUnknown, RateLimited
from prefect_trinetra.outcomes import Output
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.settings import Account
from prefect_trinetra.tasks.flights import Flights
from prefect_trinetra.tasks.jobs import Job, account_fingerprint, image_request

ACCOUNT = Account(SecretStr("very-secret"), "https://api.example.org")
REQUEST = ImageRequest("a cat", image_url="https://cdn.example.org/cat.png?signature=hidden")
JOB = Job.ordered("job_1", ACCOUNT, REQUEST, sample=2, attempt=3, at=100.0)


@pytest.mark.parametrize("serializer", [JSONSerializer(), PickleSerializer()], ids=["json", "pickle"])
def test_a_job_survives_prefects_result_storage(serializer: Serializer[Job]) -> None:
    """As JSON and as a pickle."""
    assert serializer.loads(serializer.dumps(JOB)) == JOB


def test_a_job_holds_neither_key_nor_signed_address() -> None:
    """What was submitted is cached: an input's signature is not part of it."""
    text = JSONSerializer().dumps(JOB).decode()
    assert "very-secret" not in text
    assert "hidden" not in text


def test_signed_addresses_are_not_shown() -> None:
    """A polled job has them; a log line about it has not."""
    polled = JOB.seen_as(JOB.document().__class__("job_1", "succeeded", (Output("https://cdn/x?sig=1", "image"),)))
    assert polled.outputs[0].url == "https://cdn/x?sig=1"
    assert "sig" not in repr(polled)
    assert pickle.loads(pickle.dumps(polled)) == polled  # noqa: S301  # for workers in other processes


@given(key=st.text(min_size=1), other=st.text(min_size=1))
def test_fingerprints_tell_accounts_apart(key: str, other: str) -> None:
    """Two accounts never share a cache, and the same one always does."""
    mine, theirs = (account_fingerprint(Account(SecretStr(each), ACCOUNT.base_url)) for each in (key, other))
    assert (mine == theirs) == (key == other)


@pytest.mark.parametrize(
    "given_as", ["a cat", {"prompt": "a cat"}, ImageRequest("a cat")], ids=["text", "dict", "whole"]
)
def test_a_request_may_be_said_in_three_ways(given_as: str | dict[str, str] | ImageRequest) -> None:
    """And each takes further fields."""
    assert image_request(given_as, {"quality": "low"}) == ImageRequest("a cat", quality="low")


def test_a_wrong_field_is_named() -> None:
    """In a sentence, not in a validation library's words."""
    with pytest.raises(ConfigurationError, match="quality: 'huge' is not"):
        image_request("a cat", {"quality": "huge"})


class Calls:
    """Counts what is begun, and ends as it is told."""

    def __init__(self, *ends: Exception | str) -> None:
        self.ends = list(ends)
        self.begun = 0

    async def __call__(self) -> str:
        self.begun += 1
        await asyncio.sleep(0)
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return end


async def test_equal_calls_at_the_same_time_are_one() -> None:
    """All get the first one's answer."""
    calls = Calls("job")
    flights: Flights[str] = Flights()
    assert await asyncio.gather(*(flights.share("a", calls, remember=False) for _ in range(5))) == ["job"] * 5
    assert calls.begun == 1


async def test_a_flow_run_remembers_its_calls() -> None:
    """An equal one a moment later is the same; without a flow run it is a new one."""
    remembered, forgotten = Calls("job"), Calls("job", "another")
    flights: Flights[str] = Flights()
    assert [await flights.share("a", remembered, remember=True) for _ in range(2)] == ["job", "job"]
    assert [await flights.share("b", forgotten, remember=False) for _ in range(2)] == ["job", "another"]


async def test_only_what_was_not_accepted_is_made_again() -> None:
    """An unknown outcome is the answer of every equal call: nobody submits it once more."""
    limited, unknown = (
        Calls(RateLimited("429"), "job"),
        Calls(OutcomeUnknown("reset", reason_class=ReasonClass.NO_ANSWER), "job"),
    )
    flights: Flights[str] = Flights()
    with pytest.raises(RateLimited):
        await flights.share("a", limited, remember=True)
    assert await flights.share("a", limited, remember=True) == "job"
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await flights.share("b", unknown, remember=True)
    assert unknown.begun == 1


async def test_a_call_goes_on_when_its_caller_is_cancelled() -> None:
    """A POST that is under way is not cut off."""
    calls = Calls("job")
    flights: Flights[str] = Flights()
    waiting = asyncio.ensure_future(flights.share("a", calls, remember=True))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await flights.share("a", calls, remember=True) == "job"
    assert calls.begun == 1


async def test_old_calls_are_forgotten() -> None:
    """A process that runs for weeks does not fill up."""
    flights: Flights[str] = Flights(remembered=2)
    for number in range(5):
        await flights.share(str(number), Calls("job"), remember=True)
    first_again = Calls("new")
    assert await flights.share("0", first_again, remember=True) == "new"
