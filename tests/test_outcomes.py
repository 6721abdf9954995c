"""What an answer of the provider means, without any network."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from json_values import DOCUMENTS, dumped
from prefect_trinetra.acceptance import accepted_job
from prefect_trinetra.errors import (
    AccountRefused,
    OutcomeUnknown,
    RateLimited,
    RequestRefused,
    TrinetraError,
    Unavailable,
)
from prefect_trinetra.outcomes import (
    FAILURES,
    LEFT_OVER,
    RETRYABLE,
    Job,
    Outcome,
)


def accepted(document: object, status: int = 202) -> Job:
    return accepted_job(status, {}, orjson.dumps(document))


def test_every_outcome_is_done_left_over_or_a_failure() -> None:
    """No outcome is counted twice, and none is not counted."""
    assert FAILURES | LEFT_OVER | {Outcome.SUCCEEDED} == set(Outcome)
    assert not FAILURES & LEFT_OVER
    assert RETRYABLE < FAILURES


@given(st.text(min_size=1).filter(str.strip), st.integers(200, 299))
def test_a_2xx_with_an_id_is_accepted(job_id: str, status: int) -> None:
    """The id is opaque and kept as it is."""
    assert accepted({"job_id": job_id, "status": "queued"}, status) == Job(job_id, "queued")


@pytest.mark.parametrize(
    ("document", "job_id"),
    [({"id": "a"}, "a"), ({"job_id": 17}, "17"), ({"job_id": None, "id": "b"}, "b"), ({"job_id": "c", "id": "d"}, "c")],
)
def test_an_acceptance_is_read_leniently(document: dict[str, Any], job_id: str) -> None:
    """What was accepted is not lost over the name or the type of its id."""
    assert accepted(document).id == job_id


@pytest.mark.parametrize("document", [{}, [], "job_1", None, {"job_id": ""}, {"job_id": " "}, {"job_id": True}])
def test_a_2xx_without_an_id_is_unknown(document: object) -> None:
    """It may have been accepted: nobody can tell."""
    with pytest.raises(OutcomeUnknown):
        accepted(document)


@given(st.integers(100, 599), st.binary() | DOCUMENTS.map(dumped), st.none() | st.text())
def test_every_answer_means_one_thing(status: int, body: bytes, hint: str | None) -> None:
    """Whatever comes: a job, or one of five errors; a success never means refused, a 5xx never safe without a hint."""
    headers = {} if hint is None else {"retry-after": hint}
    try:
        meant: Job | TrinetraError = accepted_job(status, headers, body)
    except TrinetraError as error:
        meant = error
    match meant:
        case Job(id=job_id):
            assert 200 <= status < 300
            assert job_id.strip()
        case RequestRefused() | RateLimited():
            assert 400 <= status < 500
        case Unavailable():
            assert status == 503
            assert hint is not None
        case _:
            assert isinstance(meant, OutcomeUnknown)


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, RequestRefused), (413, RequestRefused), (422, RequestRefused), (429, RateLimited), (503, OutcomeUnknown)]
    + [(status, AccountRefused) for status in (401, 402, 403, 404, 405)]
    + [(status, OutcomeUnknown) for status in (302, 307, 408, 409, 500, 502, 504)],
)
def test_the_table_of_answers(status: int, error: type[TrinetraError]) -> None:
    """As in docs/money.md."""
    with pytest.raises(TrinetraError) as raised:
        accepted_job(status, {}, b"")
    assert type(raised.value) is error


def test_503_is_safe_with_a_hint_or_with_the_users_word() -> None:
    """A bare one is not: proxies answer it after acceptance, too."""
    with pytest.raises(Unavailable) as hinted:
        accepted_job(503, {"retry-after": "5"}, b"")
    assert hinted.value.retry_after_seconds == 5.0
    with pytest.raises(Unavailable):
        accepted_job(503, {}, b"", retry_503=True)
    with pytest.raises(OutcomeUnknown):
        accepted_job(503, {"retry-after": "soon"}, b"")


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "moderation_blocked", "message": "not this"}},
        {"error": "not this"},
        {"message": "not this"},
        {"detail": "not this"},
        {"detail": {"message": "not this"}},
    ],
)
def test_a_refusals_reason_is_found(body: dict[str, Any]) -> None:
    """The provider documents no error body, so the usual shapes are read."""
    with pytest.raises(RequestRefused, match="not this"):
        accepted_job(400, {}, orjson.dumps(body))


def test_a_reason_is_cut() -> None:
    """A whole page helps nobody."""
    with pytest.raises(RequestRefused) as refused:
        accepted_job(400, {}, orjson.dumps({"error": "x" * 10_000}))
    assert len(str(refused.value)) < 400
