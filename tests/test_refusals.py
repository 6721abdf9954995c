"""Why a request was refused or a job failed, told from codes and words that nobody documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from json_values import JSON
from prefect_trinetra.complaints import Complaint, complaint_in
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.refusals import REFUSALS, failure_class, refusal_class

COMPLAINTS = st.builds(Complaint, st.none() | st.text(), st.none() | st.text())
BLOCKED = Complaint("moderation_blocked", "Your request was rejected by the safety system.")


@given(st.sampled_from(sorted(REFUSALS)), COMPLAINTS)
def test_every_refusal_has_one_class(status: int, complaint: Complaint) -> None:
    """Law: whatever is said, it is a class of refused."""
    assert refusal_class(status, complaint).outcome is Outcome.REFUSED


@given(COMPLAINTS)
def test_every_failed_job_has_one_class(complaint: Complaint) -> None:
    """Law: whatever is said, it is a class of failed."""
    assert failure_class(complaint).outcome is Outcome.FAILED


@given(st.dictionaries(st.sampled_from(["error", "detail", "message", "code"]), JSON))
def test_every_body_can_be_read(body: dict[str, object]) -> None:
    """Law: no shape of an error does harm, and none makes a long reason."""
    complaint = complaint_in(body)
    assert len(complaint.code or "") <= 300
    assert len(complaint.words or "") <= 300
    refusal_class(400, complaint)


@given(st.sampled_from([401, 402, 404, 405]), COMPLAINTS)
def test_a_status_about_the_account_is_believed_whatever_is_said(status: int, complaint: Complaint) -> None:
    """Law: words never turn a wrong key into a row's own fault."""
    assert refusal_class(status, complaint).concerns_account


@given(st.sampled_from([400, 403, 422]), st.text())
def test_words_alone_never_blame_the_account(status: int, words: str) -> None:
    """Law: they may quote a prompt, and the account's trouble stops the run. Only a status or a code says that."""
    told = refusal_class(status, Complaint(None, f"insufficient_credits invalid_api_key {words}"))
    assert not told.concerns_account or status == 403


@pytest.mark.parametrize(
    ("status", "complaint", "told"),
    [
        (400, BLOCKED, ReasonClass.MODERATION),
        (403, BLOCKED, ReasonClass.MODERATION),
        (400, Complaint(None, "The prompt was blocked by our moderation."), ReasonClass.MODERATION),
        (422, Complaint("content_policy_violation"), ReasonClass.MODERATION),
        (422, Complaint("invalid_parameter", "moderation must be one of low, auto"), ReasonClass.BAD_PARAMETER),
        (
            400,
            Complaint("invalid_value", "Transparent background is not supported for this model."),
            ReasonClass.TRANSPARENCY_UNSUPPORTED,
        ),
        (
            422,
            Complaint("invalid_parameter", "background transparent needs output_format png or webp"),
            ReasonClass.BAD_PARAMETER,
        ),
        (400, Complaint("insufficient_credits", "top up"), ReasonClass.NO_CREDITS),
        (422, Complaint("invalid-api-key"), ReasonClass.BAD_KEY),
        (400, Complaint(None, None), ReasonClass.BAD_PARAMETER),
        (401, Complaint(), ReasonClass.BAD_KEY),
        (402, Complaint(), ReasonClass.NO_CREDITS),
        (403, Complaint(), ReasonClass.NOT_ALLOWED),
        (404, Complaint(), ReasonClass.BAD_ADDRESS),
        (405, Complaint(), ReasonClass.BAD_ADDRESS),
        (413, BLOCKED, ReasonClass.REQUEST_TOO_LARGE),
    ],
)
def test_the_table_of_refusals(status: int, complaint: Complaint, told: ReasonClass) -> None:
    """As in docs/money.md."""
    assert refusal_class(status, complaint) is told


@pytest.mark.parametrize(
    ("complaint", "told"),
    [
        (BLOCKED, ReasonClass.MODERATED_JOB),
        (Complaint("invalid_image_url", "could not be fetched"), ReasonClass.UNUSABLE_INPUT),
        (Complaint("generation_failed", "The model could not make this picture."), ReasonClass.PROVIDER_FAILURE),
        (Complaint(), ReasonClass.PROVIDER_FAILURE),
    ],
)
def test_the_table_of_failures(complaint: Complaint, told: ReasonClass) -> None:
    """All of them are tried again."""
    assert failure_class(complaint) is told
