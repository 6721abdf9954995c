"""What a job document says, read leniently."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from json_values import DOCUMENTS, JSON, dumped
from prefect_trinetra.outcomes import Job, JobState, Output, parse_job


def seen(**document: Any) -> Job:
    """The job as read from a document about `job_1`."""
    job = parse_job("job_1", orjson.dumps({"id": "job_1"} | document))
    assert job is not None
    return job


def test_the_document_of_the_providers_page_is_read() -> None:
    """Word for word."""
    body = b"""{
    "id": "job_gptimage2_a1b2c3", "model": "gpt-image-2", "status": "succeeded",
    "output": {"outputs": [{"url": "https://cdn.trinetra.ai/out/gpt-image-2/a1b2c3.png", "type": "image"}]},
    "credits_charged": 10}"""
    assert parse_job("job_gptimage2_a1b2c3", body) == Job(
        id="job_gptimage2_a1b2c3",
        status="succeeded",
        outputs=(Output("https://cdn.trinetra.ai/out/gpt-image-2/a1b2c3.png", "image"),),
        credits_charged=10.0,
        model="gpt-image-2",
    )


@given(st.binary() | JSON.map(dumped) | DOCUMENTS.map(dumped))
def test_any_document_is_read_without_harm(body: bytes) -> None:
    """It is about our job, or it is none."""
    job = parse_job("job_1", body)
    assert job is None or job.id == "job_1"


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"<html>", b'{"id": "job_1"}', b'{"id": "job_1", "status": 3}'])
def test_what_is_no_job_document_is_none(body: bytes) -> None:
    """Without a status nothing is known."""
    assert parse_job("job_1", body) is None


def test_a_document_of_another_job_is_none() -> None:
    """A cache in between may mix them up."""
    assert parse_job("job_1", b'{"id": "job_2", "status": "succeeded"}') is None


@pytest.mark.parametrize("said", ["job_1", None])
def test_a_document_may_leave_its_id_out(said: str | None) -> None:
    """It was asked for by id."""
    assert seen(id=said, status="queued").id == "job_1"


@pytest.mark.parametrize(
    ("status", "state", "terminal"),
    [
        ("queued", JobState.WAITING, False),
        ("processing", JobState.WAITING, False),
        ("Succeeded", JobState.SUCCEEDED, True),
        ("completed", JobState.SUCCEEDED, True),
        ("failed", JobState.FAILED, True),
        (" cancelled ", JobState.FAILED, True),
        ("archived", JobState.UNLISTED, False),
    ],
)
def test_what_a_status_means(status: str, state: JobState, *, terminal: bool) -> None:
    """The provider names only queued and succeeded; the rest is what such services say."""
    job = seen(status=status)
    assert (job.state, job.is_terminal) == (state, terminal)


def test_an_unlisted_state_with_outputs_is_collected() -> None:
    """There is something to fetch, whatever the state is called."""
    assert seen(status="archived", output={"outputs": [{"url": "u"}]}).is_terminal


@pytest.mark.parametrize(
    ("document", "free"),
    [
        ({"status": "failed"}, True),
        ({"status": "failed", "credits_charged": 0}, True),
        ({"status": "failed", "credits_charged": 7}, False),
        ({"status": "failed", "output": {"outputs": [{"url": "u"}]}}, False),
        ({"status": "archived"}, False),
        ({"status": "succeeded"}, False),
    ],
)
def test_failed_for_free_is_narrow(document: dict[str, Any], *, free: bool) -> None:
    """A known failure state, no outputs, nothing charged: only that is tried again by itself."""
    assert seen(**document).failed_for_free is free


def test_outputs_are_read_leniently() -> None:
    """An output without a type is an image; one without an URL is none."""
    listed = [
        {"url": "a"},
        {"url": "b", "type": None},
        {"url": "c", "type": "text"},
        {"type": "image"},
        "x",
        {"url": ""},
    ]
    outputs = seen(status="succeeded", output={"outputs": listed}).outputs
    assert outputs == (Output("a", "image"), Output("b", "image"), Output("c", "text"))


@pytest.mark.parametrize("value", [None, True, "7", -1, [7], {}])
def test_a_charge_that_is_no_number_is_not_known(value: object) -> None:
    """Then the price bound stands for it."""
    assert seen(status="succeeded", credits_charged=value).credits_charged is None


def test_a_failures_reason_is_kept() -> None:
    """The row's report shows it."""
    assert seen(status="failed", error={"message": "out of paint"}).error == "out of paint"
