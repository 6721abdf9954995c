"""Every fault of a job and of a look at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_shopper import Shopper, open_shop, urls


@pytest.fixture(scope="module")
def shared_shop() -> Iterator[Shopper]:
    with open_shop() as shopper:
        yield shopper


@pytest.fixture
def shop(shared_shop: Shopper) -> Shopper:
    shared_shop.sandbox.reset()
    return shared_shop


def test_failed_jobs(shop: Shopper) -> None:
    """Status failed, an error object, no outputs, nothing charged."""
    shop.sandbox.set_faults(failed_jobs=1)
    document = shop.buy()
    assert (document["status"], document["error"]["code"]) == ("failed", "generation_failed")
    assert (document["credits_charged"], "output" in document) == (0, False)


def test_unknown_state(shop: Shopper) -> None:
    """Terminal, in nobody's list, without outputs; nothing is billed."""
    shop.sandbox.set_faults(unknown_state=1)
    document = shop.buy()
    assert (document["status"], "output" in document) == ("archived", False)
    assert shop.sandbox.bill()["credits"] == 0


def test_unknown_state_with_outputs(shop: Shopper) -> None:
    """The outputs are there and billed."""
    shop.sandbox.set_faults(unknown_state_with_outputs=1)
    document = shop.buy(quality="low")
    assert (document["status"], document["credits_charged"]) == ("archived", 3)
    assert shop.download(urls(document)[0]).status_code == 200


def test_stuck_jobs(shop: Shopper) -> None:
    """Never terminal, never billed."""
    shop.sandbox.set_faults(stuck_jobs=1)
    assert shop.buy()["status"] in {"queued", "processing"}
    assert shop.sandbox.bill()["credits_if_all_finish"] == 0


def test_slow_jobs(shop: Shopper) -> None:
    """They end like any other; how much slower they are is a law of test_sandbox_jobs."""
    shop.sandbox.set_faults(slow_jobs=1)
    assert shop.buy()["status"] == "succeeded"
    assert shop.sandbox.bill()["fault_hits"] == {"slow_jobs": 1}


@pytest.mark.parametrize(
    ("fault", "outputs", "charged"),
    [("fewer_outputs", 2, 6), ("extra_outputs", 4, 9), ("empty_outputs", 0, 0), ("overcharged", 3, 18)],
)
def test_other_numbers_than_asked(shop: Shopper, fault: str, outputs: int, charged: int) -> None:
    """Of n=3 at 3 credits: what is delivered, what is charged, and the bill agrees."""
    shop.sandbox.set_faults(**{fault: 1})
    document = shop.buy(n=3, quality="low")
    assert document["status"] == "succeeded"
    assert (len(urls(document)), document["credits_charged"]) == (outputs, charged)
    assert all(shop.download(url).status_code == 200 for url in urls(document))
    assert shop.sandbox.bill()["credits"] == charged


def test_missing_credits(shop: Shopper) -> None:
    """The document doesn't say what the bill knows."""
    shop.sandbox.set_faults(missing_credits=1)
    assert "credits_charged" not in shop.buy(quality="low")
    assert shop.sandbox.bill()["credits"] == 3


def test_non_image_output(shop: Shopper) -> None:
    """The first output is text."""
    shop.sandbox.set_faults(non_image_output=1)
    assert [output["type"] for output in shop.buy(n=2)["output"]["outputs"]] == ["text", "image"]


def test_wrong_model(shop: Shopper) -> None:
    """Another model's name in the document."""
    shop.sandbox.set_faults(wrong_model=1)
    assert shop.buy()["model"] != "gpt-image-2"


@pytest.mark.parametrize(("fault", "status"), [("poll_error", 500), ("poll_missing", 404)])
def test_a_look_that_fails(shop: Shopper, fault: str, status: int) -> None:
    """The job itself is well, and shown when the fault is over."""
    job_id = shop.submit().json()["job_id"]
    shop.sandbox.set_faults(**{fault: 1})
    assert shop.http.get(f"{shop.sandbox.url}/v1/jobs/{job_id}", headers=shop.key).status_code == status
    shop.sandbox.set_faults(**{fault: 0})
    assert shop.look(job_id)["status"] == "succeeded"


def test_the_fate_of_a_job_is_decided_when_it_is_accepted(shop: Shopper) -> None:
    """Switching a fault off doesn't save a job that is under way."""
    shop.sandbox.set_faults(failed_jobs=1)
    job_id = shop.submit().json()["job_id"]
    shop.sandbox.set_faults(failed_jobs=0)
    assert shop.look(job_id)["status"] == "failed"
