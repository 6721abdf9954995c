"""The Idempotency-Key: always sent, and trusted only on the user's word. With both kinds of provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from runs import QUICK_SETTINGS, bought_twice, outcomes, prompts, run, view

ROWS = 6
TRUSTING = QUICK_SETTINGS.model_copy(update={"honours_idempotency_key": True})


@pytest.fixture(scope="module")
def honouring_provider() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0, pixels=32, pictures="stamped", honours_idempotency_key=True) as handle:
        yield handle


@pytest.fixture(scope="module")
def heedless_provider() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0, pixels=32, pictures="stamped") as handle:
        yield handle


@pytest.fixture(params=["honouring_provider", "heedless_provider"])
def provider(request: pytest.FixtureRequest) -> SandboxHandle:
    """Each kind in turn."""
    handle: SandboxHandle = request.getfixturevalue(request.param)
    return handle


def lose_every_answer(sandbox: SandboxHandle, dataset: Path) -> None:
    """All rows are bought, and no answer comes."""
    sandbox.reset()
    sandbox.set_faults(lost_answer=1.0)
    assert outcomes(run(sandbox, prompts(ROWS), dataset)) == {"unknown": ROWS}
    sandbox.set_faults(lost_answer=0.0)


def test_every_order_carries_a_key_of_its_own(provider: SandboxHandle, tmp_path: Path) -> None:
    """Rule: the header is always sent, whatever the setting says, and differs from row to row."""
    provider.reset()
    run(provider, prompts(ROWS), tmp_path)
    keys = [job["idempotency_key"] for job in provider.bill()["jobs"]]
    assert all(keys)
    assert len(set(keys)) == ROWS


def test_without_the_users_word_an_unknown_row_is_never_sent_again(provider: SandboxHandle, tmp_path: Path) -> None:
    """Rule: not by the next run, nor by the one after it, whichever kind of provider it is."""
    lose_every_answer(provider, tmp_path)
    for _ in range(2):
        assert outcomes(run(provider, prompts(ROWS), tmp_path)) == {"unknown": ROWS}
    assert provider.bill()["submits"] == ROWS


def test_with_the_users_word_it_is_repeated_under_the_same_key(
    honouring_provider: SandboxHandle, tmp_path: Path
) -> None:
    """Rule: the repeated POST finds the first job, so that each row is billed once."""
    lose_every_answer(honouring_provider, tmp_path)
    assert outcomes(run(honouring_provider, prompts(ROWS), tmp_path, TRUSTING)) == {"succeeded": ROWS}
    bill = honouring_provider.bill()
    assert (bill["submits"], bill["jobs_accepted"]) == (2 * ROWS, ROWS)
    assert bill["credits"] == sum(image["credits_charged"] for image in view(tmp_path, "metadata"))


def test_a_wrong_word_is_paid_twice_and_no_more(heedless_provider: SandboxHandle, tmp_path: Path) -> None:
    """What docs/money.md says: one order more a repeated row, which the ledger can't know; the next run is free."""
    lose_every_answer(heedless_provider, tmp_path)
    for _ in range(2):
        assert outcomes(run(heedless_provider, prompts(ROWS), tmp_path, TRUSTING)) == {"succeeded": ROWS}
    bill = heedless_provider.bill()
    assert (bill["submits"], bill["jobs_accepted"], len(bought_twice(bill))) == (2 * ROWS, 2 * ROWS, ROWS)
    assert bill["credits"] == 2 * sum(image["credits_charged"] for image in view(tmp_path, "metadata"))


def test_the_users_word_to_order_again_uses_a_new_key(honouring_provider: SandboxHandle, tmp_path: Path) -> None:
    """Rule: `--retry unknown` is a new attempt, so no provider can take it for the first one."""
    lose_every_answer(honouring_provider, tmp_path)
    report = run(honouring_provider, prompts(ROWS), tmp_path, retry=frozenset({"unknown"}))
    assert outcomes(report) == {"succeeded": ROWS}
    assert honouring_provider.bill()["jobs_accepted"] == 2 * ROWS
