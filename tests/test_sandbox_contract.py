"""The sandbox answers as the provider's page says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from urllib.error import HTTPError

import pytest

from sandbox_shopper import SUBMIT_PATH, Shopper, open_shop, urls


@pytest.fixture(scope="module")
def shared_shop() -> Iterator[Shopper]:
    with open_shop() as shopper:
        yield shopper


@pytest.fixture
def shop(shared_shop: Shopper) -> Shopper:
    shared_shop.sandbox.reset()
    return shared_shop


def test_a_submit_answers_202_with_an_id_and_a_state(shop: Shopper) -> None:
    """The answer is exactly `job_id` and `status`; the id carries the model's name without punctuation."""
    answer = shop.submit()
    assert answer.status_code == 202
    assert answer.json() == {"job_id": answer.json()["job_id"], "status": "queued"}
    assert answer.json()["job_id"].startswith("job_gptimage2_")


def test_a_job_document_has_the_fields_of_the_page(shop: Shopper) -> None:
    """The document calls the id `id`, names the model, and has outputs and credits when it succeeded."""
    document = shop.buy(n=2, quality="high")
    assert list(document) == ["id", "model", "status", "output", "credits_charged"]
    assert (document["model"], document["status"], document["credits_charged"]) == ("gpt-image-2", "succeeded", 28)
    assert [output["type"] for output in document["output"]["outputs"]] == ["image", "image"]


def test_a_job_goes_through_its_states_in_order() -> None:
    """Never backwards, succeeded at the end; before it a document has no output and no credits."""
    with open_shop(job_seconds=1.0, job_sigma=0) as shop:
        job_id = shop.submit().json()["job_id"]
        documents = [shop.look(job_id)]
        while documents[-1]["status"] != "succeeded":
            documents.append(shop.look(job_id))
    states = [document["status"] for document in documents]
    order = ["queued", "processing", "succeeded"]
    assert all(order.index(first) <= order.index(second) for first, second in pairwise(states))
    assert list(documents[0]) == ["id", "model", "status"]


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "another"}])
def test_without_a_known_key_nothing_is_sold_or_shown(shop: Shopper, headers: dict[str, str]) -> None:
    """401 for submit and look alike."""
    submitted = shop.http.post(shop.sandbox.url + SUBMIT_PATH, json={"prompt": "a cat"}, headers=headers)
    looked = shop.http.get(shop.sandbox.url + "/v1/jobs/job_gptimage2_0", headers=headers)
    assert (submitted.status_code, looked.status_code) == (401, 401)
    assert submitted.json()["error"]["code"] == "invalid_api_key"
    assert shop.sandbox.bill()["jobs_accepted"] == 0


def test_a_body_that_is_no_json_object_is_refused(shop: Shopper) -> None:
    """400 with the error document."""
    for body in (b"", b"[1]", b"{", b'{"prompt": "\xff"}'):
        answer = shop.http.post(shop.sandbox.url + SUBMIT_PATH, content=body, headers=shop.key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


def test_a_wrong_field_is_named_in_the_refusal(shop: Shopper) -> None:
    """422, and the message begins with the field."""
    answer = shop.submit(n=5)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("n ")


def test_a_prompt_with_a_forbidden_word_is_refused(shop: Shopper) -> None:
    """400 moderation_blocked, whatever the case of the word; nothing is bought."""
    answer = shop.submit("Something Forbidden-by-Moderation here")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "moderation_blocked")
    assert shop.sandbox.bill()["jobs_accepted"] == 0


def test_unknown_models_jobs_and_paths_are_404(shop: Shopper) -> None:
    """There is one model; a job is known by its id only."""
    url = shop.sandbox.url
    assert shop.http.post(url + "/v1/image/dall-e-9", json={"prompt": "a"}, headers=shop.key).status_code == 404
    assert shop.http.get(url + "/v1/jobs/job_gptimage2_0", headers=shop.key).status_code == 404
    assert shop.http.get(url + "/cdn/out/gpt-image-2/0-0.png").status_code == 404
    assert shop.http.get(url + "/nowhere").status_code == 404


def test_the_balance_refuses_what_it_does_not_cover() -> None:
    """402 once the list price is more than what is left, counting jobs under way; topping up helps."""
    with open_shop(balance=20, job_seconds=60) as shop:
        assert shop.submit("one", quality="high").status_code == 202
        refused = shop.submit("two", quality="medium")
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "insufficient_credits")
        shop.sandbox.top_up(1)
        assert shop.submit("two", quality="medium").status_code == 202


def test_an_account_has_prices_of_its_own() -> None:
    """What credits_per_image doesn't name keeps its list price."""
    with open_shop(credits_per_image={"low": 2.5}) as shop:
        assert shop.buy(quality="low", n=3)["credits_charged"] == 7.5
        assert shop.buy(quality="high")["credits_charged"] == 14


def test_auto_quality_costs_one_of_the_listed_prices_and_always_the_same(shop: Shopper) -> None:
    """The choice goes by the request."""
    charged = [shop.buy(f"prompt {number}", quality="auto")["credits_charged"] for number in range(20)]
    again = [shop.buy(f"prompt {number}", quality="auto")["credits_charged"] for number in range(20)]
    assert set(charged) == {3, 7, 14}
    assert charged == again


def test_the_rate_limit_answers_429_and_says_for_how_long() -> None:
    """One second's worth is admitted at once; Retry-After is in whole seconds, at least one."""
    with open_shop(requests_per_second=3) as shop:
        answers = [shop.submit(f"prompt {number}") for number in range(12)]
        limited = [answer for answer in answers if answer.status_code == 429]
        assert [answer.status_code for answer in answers[:3]] == [202, 202, 202]
        assert limited
        assert {answer.headers["Retry-After"] for answer in limited} == {"1"}
        assert shop.sandbox.bill()["jobs_accepted"] == 12 - len(limited)


def test_the_rate_limit_can_change_while_it_runs() -> None:
    """A tighter one holds from the next submit on; null lifts it; what is no rate is refused and changes nothing."""
    with open_shop() as shop:
        shop.sandbox.set_limit(1)
        assert [shop.submit(f"prompt {number}").status_code for number in range(2)] == [202, 429]
        for wrong in (0, -1, "many", "nan"):
            with pytest.raises(HTTPError, match="400"):
                shop.sandbox.set_limit(wrong)  # type: ignore[arg-type]
        assert shop.submit("prompt 2").status_code == 429
        shop.sandbox.set_limit(None)
        assert shop.submit("prompt 3").status_code == 202


def test_an_idempotency_key_is_honoured_only_where_the_account_says_so(shop: Shopper) -> None:
    """By default the header changes nothing; with the option the second submit gets the first job."""
    header = {"Idempotency-Key": "once"}
    assert shop.submit(headers=header).json() != shop.submit(headers=header).json()
    with open_shop(honours_idempotency_key=True) as honest:
        assert honest.submit(headers=header).json() == honest.submit(headers=header).json()
        assert honest.sandbox.bill()["by_idempotency_key"] == {"once": 1}


def test_the_key_must_not_reach_the_cdn(shop: Shopper) -> None:
    """400, and the bill counts the leak; without the key the same URL works."""
    url = urls(shop.buy())[0]
    assert shop.http.get(url, headers=shop.key).status_code == 400
    assert shop.sandbox.bill()["key_leaks"] == 1
    assert shop.download(url).status_code == 200


def test_an_output_url_is_signed_and_expires() -> None:
    """A changed or old URL is 403; a look at the job gives one that works."""
    with open_shop(url_lifetime_seconds=0.001) as shop:
        document = shop.buy()
        assert shop.download(urls(document)[0].replace("issue=1", "issue=2")).status_code == 403
        url = urls(document)[0]
        while (answer := shop.download(url)).status_code == 200:
            pass
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "url_expired")
    with open_shop(url_lifetime_seconds=60) as shop:
        assert shop.download(urls(shop.buy())[0]).status_code == 200
