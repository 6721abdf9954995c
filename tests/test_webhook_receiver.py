"""The receiver: it takes what names a job, believes nothing else, and stands whatever is sent to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from command import wait_until
from json_values import DOCUMENTS, JSON, dumped
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.webhooks.notice import Unreadable, job_id_of, read_notice, resource_id
from prefect_trinetra.webhooks.receiver import webhook_app
from receiver import TOKEN, Address, WayOut, running_receiver

ENDED = {"id": "job_common", "model": "gpt-image-2", "status": "succeeded", "credits_charged": 7}
HEAD = "POST /webhooks/{} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


@pytest.fixture(scope="module")
def common_receiver() -> Iterator[Address]:
    with running_receiver() as address:
        yield address


@pytest.fixture
def receiver(common_receiver: Address) -> Address:
    """One for many tests; each finds nothing delivered."""
    common_receiver.way_out.delivered.clear()
    return common_receiver


def ended(name: object) -> dict[str, object]:
    return ENDED | {"id": f"job_{name}"}


def delivers(receiver: Address, *job_ids: str) -> None:
    """Waits until exactly these were delivered, apart from what earlier tests sent."""
    wait_until(lambda: job_ids[-1] in receiver.way_out.delivered, "all was delivered")
    assert [job_id for job_id in receiver.way_out.delivered if job_id != ENDED["id"]] == [*job_ids]


def test_a_webhook_is_taken_and_passed_on(receiver: Address, http: httpx.Client) -> None:
    """The answer is 202 and empty; what goes out is the id."""
    answer = http.post(receiver.webhook, json=ended("taken"))
    assert (answer.status_code, answer.content) == (202, b"")
    delivers(receiver, "job_taken")


def test_a_probe_is_answered(receiver: Address, http: httpx.Client) -> None:
    """Without a token, and with nothing to learn from it."""
    answer = http.get(f"{receiver.url}/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", [f"/webhooks/{TOKEN}x", f"/webhooks/{TOKEN[:-1]}", "/webhooks/", "/webhooks/%00", "/"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_wrong_token_is_an_unknown_path(receiver: Address, path: str, method: str, http: httpx.Client) -> None:
    """Whatever the method: nobody learns that there is something to guess."""
    answer = http.request(method, receiver.url + path, json=ENDED)
    unknown = http.request(method, f"{receiver.url}/nothing/here")
    assert (answer.status_code, answer.content) == (unknown.status_code, unknown.content)
    assert answer.status_code == 404


def test_what_is_refused_does_not_go_out(receiver: Address, http: httpx.Client) -> None:
    """With a wrong token, nor by another method."""
    http.post(f"{receiver.url}/webhooks/{TOKEN}x", json=ended("intruder"))
    http.put(receiver.webhook, json=ended("intruder"))
    http.post(receiver.webhook, json=ended("guest"))
    delivers(receiver, "job_guest")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_is_served(receiver: Address, method: str, http: httpx.Client) -> None:
    """Where the token is right, the answer says so."""
    answer = http.request(method, receiver.webhook)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "application/xml"])
def test_other_types_are_refused(receiver: Address, kind: str, http: httpx.Client) -> None:
    """A body that says it is something else is not read."""
    answer = http.post(receiver.webhook, content=dumped(ENDED), headers={"content-type": kind})
    assert answer.status_code == 415
    compressed = http.post(receiver.webhook, content=b"", headers={"content-encoding": "gzip"})
    assert compressed.status_code == 415


@pytest.mark.parametrize("kind", [None, "application/json; charset=utf-8", "application/vnd.job+json"])
def test_json_by_any_name_is_taken(receiver: Address, kind: str | None, http: httpx.Client) -> None:
    """Nobody documents the webhook's headers, so one that says nothing may be JSON."""
    headers = {} if kind is None else {"content-type": kind}
    assert http.post(receiver.webhook, content=dumped(ENDED), headers=headers).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"job_1"',
        b"{}",
        b'{"id": ""}',
        b'{"id": true}',
        b'{"id": ["job_1"]}',
        b'{"id": "job 1"}',
        b'{"id": "../../v1/jobs"}',
        b'{"id": "{{ secrets }}"}',
        b'{"id": "job_1\\n"}',
        b'{"id": "\xff"}',
        b'{"id": "' + b"j" * 129 + b'"}',
        b"[" * 60_000,
    ],
)
def test_what_names_no_job_is_refused(receiver: Address, body: bytes, http: httpx.Client) -> None:
    """With 400."""
    assert http.post(receiver.webhook, content=body).status_code == 400


@given(st.binary(max_size=200) | JSON.map(dumped) | DOCUMENTS.map(dumped))
def test_any_body_is_a_job_or_unreadable(body: bytes) -> None:
    """Nothing else is raised, and a job that is read can be named to Prefect and found again."""
    try:
        notice = read_notice(body)
    except Unreadable:
        return
    assert job_id_of(resource_id(notice.job_id)) == notice.job_id


@given(st.text())
def test_a_foreign_resource_is_no_job(text: str) -> None:
    """Events may come from anybody who may write to the server."""
    found = job_id_of(text)
    assert found is None or text == resource_id(found)


@pytest.mark.parametrize("announced", [True, False])
def test_a_large_body_is_refused(receiver: Address, http: httpx.Client, *, announced: bool) -> None:
    """By what it says, and where it says nothing as soon as it is too long: it is never held whole."""
    body = b'{"id": "' + b"j" * 100_000
    content = body if announced else iter([body[part : part + 1000] for part in range(0, len(body), 1000)])
    try:
        assert http.post(receiver.webhook, content=content).status_code == 413
    except httpx.TransportError:
        assert not announced  # it hung up while we were still sending
    assert http.post(receiver.webhook, json=ENDED).status_code == 202


def test_who_lies_about_the_length_is_cut_off(receiver: Address) -> None:
    """More than announced is no part of it."""
    with receiver.connect() as connection:
        connection.sendall(HEAD.format(TOKEN).encode() + b"Content-Length: 4\r\n\r\n" + dumped(ENDED))
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (HEAD.format(TOKEN) + 'Content-Length: 100\r\n\r\n{"id"', b"HTTP/1.1 408 "),
        (HEAD.format(TOKEN), b""),
        ("", b""),
    ],
)
def test_slow_clients_lose_their_place(sent: str, answer: bytes, http: httpx.Client) -> None:
    """In mid-body with an answer, before that without one."""
    with running_receiver(head_seconds=0.2, body_seconds=0.2) as receiver, receiver.connect() as connection:
        connection.sendall(sent.encode())
        assert connection.recv(100).startswith(answer)
        assert http.post(receiver.webhook, json=ENDED).status_code == 202


def test_many_idle_connections_keep_nobody_out(http: httpx.Client) -> None:
    """Those who say nothing lose their place to who does."""
    with running_receiver(head_seconds=0.2, connections=20) as receiver:
        idle = [receiver.connect() for _ in range(30)]
        wait_until(lambda: http.post(receiver.webhook, json=ENDED).status_code == 202, "there was a place")
        for connection in idle:
            connection.close()


def test_a_repeated_webhook_goes_out_once(receiver: Address, http: httpx.Client) -> None:
    """And is answered as the first one was; another body about the same job is another word."""
    first = ended("again")
    sent = [first, first, first | {"status": "failed"}, first, ended("last")]
    assert [http.post(receiver.webhook, json=each).status_code for each in sent] == [202] * 5
    delivers(receiver, "job_again", "job_again", "job_last")


def test_a_flood_is_taken_as_far_as_it_can_be(receiver: Address, http: httpx.Client) -> None:
    """Every one gets an answer, and each that was taken goes out once."""
    with ThreadPoolExecutor(8) as pool:
        answers = [
            *pool.map(lambda number: http.post(receiver.webhook, json=ended(f"flood{number}")).status_code, range(400))
        ]
    taken = {f"job_flood{number}" for number, status in enumerate(answers) if status == 202}
    assert {*answers} <= {202, 503}
    wait_until(lambda: len(receiver.way_out.delivered) >= len(taken), "all was delivered")
    assert sorted(set(receiver.way_out.delivered) - {ENDED["id"]}) == sorted(taken)
    assert len(set(receiver.way_out.delivered)) == len(receiver.way_out.delivered)


def test_a_full_queue_asks_to_come_again(http: httpx.Client) -> None:
    """While Prefect is away: 503 with Retry-After; what was refused is not taken for a repetition later."""
    with running_receiver(WayOut(is_open=False), waiting=2) as receiver:
        answers = [http.post(receiver.webhook, json=ended(number)) for number in range(5)]
        *taken, full = [answer.status_code for answer in answers]
        assert taken.count(202) >= 2
        assert (full, answers[-1].headers["retry-after"]) == (503, "5")
        receiver.way_out.is_open = True
        wait_until(lambda: len(receiver.way_out.delivered) == taken.count(202), "the queue was worked off")
        assert http.post(receiver.webhook, json=ended(4)).status_code == 202
        wait_until(lambda: receiver.way_out.delivered[-1] == "job_4", "it went out")


def test_what_could_not_be_delivered_is_tried_again(http: httpx.Client) -> None:
    """In order, over as many connections as it takes."""
    with running_receiver(WayOut(breaks_after=2)) as receiver:
        for number in range(5):
            http.post(receiver.webhook, json=ended(number))
        delivers(receiver, *(f"job_{number}" for number in range(5)))
        assert receiver.way_out.opened == 3


def test_what_waits_at_the_end_is_delivered(http: httpx.Client) -> None:
    """A receiver that is told to stop empties its queue first."""
    with running_receiver() as receiver:
        for number in range(50):
            http.post(receiver.webhook, json=ended(number))
    assert len(receiver.way_out.delivered) == 50


def test_the_token_is_in_no_log(receiver: Address, caplog: pytest.LogCaptureFixture, http: httpx.Client) -> None:
    """Neither are bodies."""
    with caplog.at_level(logging.DEBUG):
        for body in (ENDED, "garbage", ENDED | {"id": "not an id"}):
            http.post(receiver.webhook, json=body)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    assert not [line for line in ours if TOKEN in line or "gpt-image-2" in line]


@pytest.mark.parametrize("token", [None, "", "short", "x" * 23, "x" * 300, "a/b" * 10, "with space" * 5])
def test_a_weak_token_is_refused(token: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sentence that says how to make one, and without the token."""
    monkeypatch.delenv("TRINETRA_WEBHOOK_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match=r"secrets\.token_urlsafe") as refused:
        webhook_app(token, open_delivery=WayOut().open)
    assert not token or token not in str(refused.value)


def test_the_app_can_be_mounted() -> None:
    """In an app that passes no start on; the token then comes from the environment or an argument."""
    way_out = WayOut()
    outer = Starlette(routes=[Mount("/hooks", webhook_app(TOKEN, open_delivery=way_out.open))])
    with TestClient(outer) as http:
        answer = http.post(f"/hooks/webhooks/{TOKEN}", content=json.dumps(ENDED))
        assert answer.status_code == 202
        assert http.post("/hooks/webhooks/wrong", json=ENDED).status_code == 404
        wait_until(lambda: way_out.delivered == [ENDED["id"]], "it went out")
