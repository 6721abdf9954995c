"""Every fault of a submit, seen from outside; the bill tells which of them bought a job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from json import JSONDecodeError

import httpx
import pytest

from sandbox_shopper import SUBMIT_PATH, Shopper, open_shop


@pytest.fixture(scope="module")
def shared_shop() -> Iterator[Shopper]:
    with open_shop() as shopper:
        yield shopper


@pytest.fixture
def shop(shared_shop: Shopper) -> Shopper:
    shared_shop.sandbox.reset()
    return shared_shop


@pytest.mark.parametrize(
    ("fault", "status", "retry_after", "jobs"),
    [
        ("rate_limited", 429, "1", 0),
        ("rate_limited_bare", 429, None, 0),
        ("unavailable", 503, "1", 0),
        ("error_before", 500, None, 0),
        ("redirect_submit", 307, None, 0),
        ("unauthorized", 401, None, 0),
        ("forbidden", 403, None, 0),
        ("error_after", 500, None, 1),
        ("bare_503", 503, None, 1),
        ("no_id", 202, None, 1),
        ("garbled", 202, None, 1),
    ],
)
def test_an_answer_that_is_none(shop: Shopper, fault: str, status: int, retry_after: str | None, jobs: int) -> None:
    """The status says one thing; whether a job was bought is another."""
    shop.sandbox.set_faults(**{fault: 1})
    answer = shop.submit()
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, retry_after)
    assert b"job_gptimage2" not in answer.content
    bill = shop.sandbox.bill()
    assert (bill["jobs_accepted"], bill["fault_hits"]) == (jobs, {fault: 1})


@pytest.mark.parametrize("fault", ["lost_answer", "reset_answer", "half_answer"])
def test_a_connection_that_ends_without_an_answer(shop: Shopper, fault: str) -> None:
    """The job is bought all the same."""
    shop.sandbox.set_faults(**{fault: 1})
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        shop.submit(quality="low")
    assert shop.sandbox.bill()["credits"] == 3


def test_an_answer_that_does_not_come(shop: Shopper) -> None:
    """The job is bought; the client has to give up by itself."""
    shop.sandbox.set_faults(hang_after=1)
    with httpx.Client(timeout=0.2) as impatient, pytest.raises(httpx.ReadTimeout):
        Shopper(shop.sandbox, impatient).submit()
    assert shop.sandbox.bill()["jobs_accepted"] == 1


def test_hanging_ends_with_a_closed_connection() -> None:
    """After hang_seconds the server gives up too."""
    ended = pytest.raises((httpx.RemoteProtocolError, httpx.ReadError))
    with open_shop(hang_seconds=0.05, faults={"hang_after": 1}) as shop, ended:
        shop.submit()


def test_a_body_that_is_garbled_is_no_json(shop: Shopper) -> None:
    """Not even a lenient reader finds an id in it."""
    shop.sandbox.set_faults(garbled=1)
    garbled = shop.submit().content
    with pytest.raises(JSONDecodeError):
        json.loads(garbled.decode(errors="replace"))


def test_whoever_follows_a_redirect_with_the_key_is_found_out(shop: Shopper) -> None:
    """The other place sells nothing and counts who came with what."""
    shop.sandbox.set_faults(redirect_submit=1)
    url = shop.sandbox.url + SUBMIT_PATH
    answer = shop.http.post(url, json={"prompt": "a"}, headers=shop.key, follow_redirects=True)
    bill = shop.sandbox.bill()
    assert answer.status_code == 404
    assert (bill["redirects_followed"], bill["key_leaks"], bill["jobs_accepted"]) == (1, 1, 0)


def test_a_rate_is_a_share_and_the_same_for_the_same_seed() -> None:
    """The dice go by seed, request and try, not by order of arrival."""

    def statuses(seed: int, numbers: range) -> dict[int, int]:
        with open_shop(seed=seed, faults={"error_before": 0.5}) as shop:
            return {number: shop.submit(f"prompt {number}").status_code for number in numbers}

    first = statuses(1, range(40))
    assert 5 < list(first.values()).count(500) < 35
    assert statuses(1, range(39, -1, -1)) == first
    assert statuses(2, range(40)) != first


def test_the_next_try_is_decided_anew(shop: Shopper) -> None:
    """A request that met a fault is not doomed."""
    shop.sandbox.set_faults(unavailable=0.5)
    statuses = {shop.submit().status_code for _ in range(30)}
    assert statuses == {202, 503}


def test_an_idle_connection_is_closed_by_the_server() -> None:
    """After keep_alive_seconds; fractions count."""
    with open_shop(keep_alive_seconds=0.05) as shop:
        limits = httpx.Limits(keepalive_expiry=None)
        with httpx.Client(limits=limits) as http, http.stream("GET", shop.sandbox.url + "/sandbox/health") as answer:
            answer.read()
            stream = answer.extensions["network_stream"]
            assert stream.read(1, timeout=10) == b""
