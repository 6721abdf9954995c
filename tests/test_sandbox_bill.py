"""The bill says what was really bought, whoever looked."""

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


def test_the_bill_is_grouped_by_request_body(shop: Shopper) -> None:
    """Equal bodies share a line, whatever the order of their fields; images and credits add up."""
    for fields in ({"n": 2, "quality": "low"}, {"quality": "low", "n": 2}, {"quality": "high"}):
        shop.buy(**fields)
    bill = shop.sandbox.bill()
    lines = {line["body"]["quality"]: line for line in bill["bodies"]}
    assert (lines["low"]["jobs"], lines["low"]["images"], lines["low"]["credits"]) == (2, 4, 12)
    assert (lines["high"]["jobs"], lines["high"]["images"], lines["high"]["credits"]) == (1, 1, 14)
    assert lines["low"]["body"] == {"prompt": "a lighthouse", "n": 2, "quality": "low"}
    assert (bill["jobs_accepted"], bill["images"], bill["credits"]) == (3, 5, 26)


def test_a_job_is_billed_when_it_ends_though_nobody_looks() -> None:
    """Running jobs count only under credits_if_all_finish."""
    with open_shop(job_seconds=1.0, job_sigma=0) as shop:
        shop.submit(quality="low")
        early = shop.sandbox.bill()
        while (late := shop.sandbox.bill())["credits"] == 0:
            pass
    assert (early["credits"], early["credits_if_all_finish"]) == (0, 3)
    assert (late["credits"], late["polls"]) == (3, 0)
    assert late["bodies"][0]["statuses"] == {"succeeded": 1}


def test_every_job_stands_on_the_bill_with_its_body_and_idempotency_key(shop: Shopper) -> None:
    """So that a test can follow one attempt."""
    document = shop.buy("a tree", quality="low", headers={"Idempotency-Key": "abc"})
    bill = shop.sandbox.bill()
    [job] = bill["jobs"]
    assert (job["id"], job["idempotency_key"]) == (document["id"], "abc")
    assert (job["status"], job["images"], job["credits"]) == ("succeeded", 1, 3)
    assert bill["bodies"][job["body_index"]]["body"]["prompt"] == "a tree"
    assert bill["by_idempotency_key"] == {"abc": 1}


def test_what_was_knocked_at_is_counted(shop: Shopper) -> None:
    """Submits, polls and downloads, the refused ones included."""
    shop.submit("")
    shop.download(urls(shop.buy())[0])
    bill = shop.sandbox.bill()
    assert (bill["submits"], bill["polls"], bill["downloads"]) == (2, 1, 1)


def test_a_failed_job_is_not_billed(shop: Shopper) -> None:
    """Billed on success, per image."""
    shop.sandbox.set_faults(failed_jobs=1)
    shop.buy()
    bill = shop.sandbox.bill()
    assert (bill["jobs_accepted"], bill["images"], bill["credits"]) == (1, 0, 0)
    assert bill["bodies"][0]["statuses"] == {"failed": 1}


def test_a_reset_forgets_everything(shop: Shopper) -> None:
    """Jobs, counts and faults set since the start."""
    job_id = shop.buy()["id"]
    shop.sandbox.set_faults(flat=1)
    shop.sandbox.reset()
    assert shop.sandbox.bill()["submits"] == 0
    assert shop.sandbox.faults()["flat"] == 0
    assert shop.http.get(f"{shop.sandbox.url}/v1/jobs/{job_id}", headers=shop.key).status_code == 404


def test_nonsense_for_the_controls_is_refused(shop: Shopper) -> None:
    """An unknown fault, a rate above 1, a balance that is no number: 400, and nothing changes."""
    url = shop.sandbox.url
    for faults in (b'{"gremlins": 1}', b'{"flat": 2}', b"[]", b"{"):
        assert shop.http.put(url + "/sandbox/faults", content=faults).status_code == 400
    for balance in (b"{}", b"7", b'{"credits": "many"}'):
        assert shop.http.post(url + "/sandbox/balance", content=balance).status_code == 400
    assert set(shop.sandbox.faults().values()) == {0}


def test_a_person_finds_a_page_and_a_health_check(shop: Shopper) -> None:
    """The index names the endpoints and what was sold so far."""
    shop.buy(quality="low")
    page = shop.http.get(shop.sandbox.url)
    assert page.headers["content-type"].startswith("text/html")
    assert "1 jobs, 1 images, 3 credits" in page.text
    assert shop.http.get(shop.sandbox.url + "/sandbox/health").json() == {"status": "ok"}
