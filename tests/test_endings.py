"""What a job's end means for its row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import attempt, shard_row
from prefect_trinetra.endings import (
    Ending,
    aged,
    ending_records,
    ending_with_outputs,
    ending_without_outputs,
)
from prefect_trinetra.outcomes import Job, Outcome, Output
from prefect_trinetra.outputs import LostImage, StoredImage
from prefect_trinetra.reasons import ReasonClass

# What may become of a single output.
LOSSES = {Outcome.PENDING, Outcome.DAMAGED, Outcome.EXPIRED}
URL = Output("https://cdn.example/1.png", "image")


def stored(index: int = 0) -> StoredImage:
    return StoredImage(index, f"images/ab/{index}.png", "png", 8, 8, 100, "cd" * 32)


def job(status: str = "succeeded", charged: float | None = 14.0) -> Job:
    return Job("job-1", status, (URL, URL), charged)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (Job("j", "failed", (), None, "no luck"), ReasonClass.PROVIDER_FAILURE),
        (Job("j", "failed", (), 0.0, "Blocked.", None, "moderation_blocked"), ReasonClass.MODERATED_JOB),
        (Job("j", "failed", (), 7.0), ReasonClass.CHARGED_FAILURE),
        (Job("j", "succeeded"), ReasonClass.NO_OUTPUTS),
        (Job("j", "archived"), ReasonClass.UNLISTED_STATE),
        (Job("j", "queued"), ReasonClass.NOT_DONE),
    ],
)
def test_failed_is_narrow(document: Job, told: ReasonClass) -> None:
    """Rule: a known failure state, no outputs, nothing charged. What was charged is damaged."""
    ending = ending_without_outputs(document)
    assert (ending.outcome, ending.reason_class) == (told.outcome, told)


_OUTPUTS = st.lists(st.none() | st.sampled_from([each for each in ReasonClass if each.outcome in LOSSES]), min_size=1)


@given(_OUTPUTS, st.integers(1, 4), st.none() | st.floats(0, 100))
def test_every_mix_of_outputs_has_one_end(losses: list[ReasonClass | None], wanted: int, charged: float | None) -> None:
    """Law: what came is kept whatever was lost; a class is one of the outcome; the shares add up to the charge."""
    collected = [
        stored(index) if loss is None else LostImage(index, loss, f"output {index}: {loss}")
        for index, loss in enumerate(losses)
    ]
    ending = ending_with_outputs(job(charged=charged), collected, wanted)
    assert (ending.reason_class is None) == (ending.outcome is Outcome.SUCCEEDED)
    assert ending.reason_class is None or ending.reason_class.outcome is ending.outcome
    assert len(ending.images) == losses.count(None)
    assert ending.reason or not (any(losses) or len(losses) < wanted)
    kept = ending_records(shard_row(parameters={"n": wanted}), attempt(), ending, now=300.0)
    assert sum(each.file_name is not None for each in kept) == len(ending.images)
    assert {each.outputs_missing for each in kept if each.file_name} <= {max(0, wanted - len(ending.images))}
    assert sum(each.credits_charged or 0.0 for each in kept) == pytest.approx(charged or 0.0)


def test_one_image_makes_a_success_that_says_what_is_missing() -> None:
    lost = LostImage(1, ReasonClass.NOT_AN_IMAGE, "output 1 is no image")
    ending = ending_with_outputs(job(), [stored(), lost], wanted=2)
    assert ending.outcome is Outcome.SUCCEEDED
    assert ending.reason == "1 of 2 outputs came; output 1 is no image"


def test_an_output_that_may_still_be_had_keeps_the_row_pending() -> None:
    lost = LostImage(1, ReasonClass.DOWNLOAD_TROUBLE, "the CDN is down")
    assert ending_with_outputs(job(), [stored(), lost], wanted=2).outcome is Outcome.PENDING


def test_damage_is_said_before_expiry() -> None:
    lost = [LostImage(0, ReasonClass.URL_EXPIRED, "gone"), LostImage(1, ReasonClass.NOT_AN_IMAGE, "cut")]
    assert ending_with_outputs(job(), lost, wanted=2).outcome is Outcome.DAMAGED


def test_what_is_pending_stays_so_until_the_jobs_lifetime_is_over() -> None:
    pending = Ending(Outcome.PENDING, "slow")
    assert aged(pending, age_seconds=10, lifetime_seconds=20) == pending
    assert aged(pending, age_seconds=30, lifetime_seconds=20).outcome is Outcome.EXPIRED
    half = replace(pending, images=(stored(),))
    assert aged(half, age_seconds=30, lifetime_seconds=20).outcome is Outcome.SUCCEEDED


def test_images_share_what_their_job_cost() -> None:
    """Rule: credits summed over the images are what the job was charged."""
    row = shard_row(parameters={"n": 2})
    records = ending_records(row, attempt(), ending_with_outputs(job(), [stored(), stored(1)], 2), now=300.0)
    assert [each.credits_charged for each in records] == [7.0, 7.0]


def test_missing_outputs_are_counted_on_each_record() -> None:
    row = shard_row(parameters={"n": 3})
    lost = LostImage(1, ReasonClass.NOT_AN_IMAGE, "cut")
    records = ending_records(row, attempt(), ending_with_outputs(job(), [stored(), lost], 3), now=300.0)
    assert [(each.outcome, each.outputs_missing) for each in records] == [
        (Outcome.SUCCEEDED, 2),
        (Outcome.DAMAGED, 2),
    ]
