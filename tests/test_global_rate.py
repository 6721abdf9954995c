"""A rate that a limit on Prefect's server holds for all workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate

from orchestra import credentials_of
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.flows import generate_dataset
from prefect_trinetra.loop import io_loop
from prefect_trinetra.pacing import Share
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.spec import RunLimits
from prefect_trinetra.tasks.global_rate import GlobalRate
from runs import prompts

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


def make_limit(name: str, limit: int, decay: float) -> None:
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(
            GlobalConcurrencyLimitCreate(name=name, limit=limit, slot_decay_per_second=decay)
        )


def test_orders_wait_for_slots(shop: SandboxHandle, tmp_path: Path) -> None:
    """What others have taken is not there; the run's deadline holds all the same, and the next run goes on."""
    make_limit("taken", 10, 0.01)
    with get_client(sync_client=True) as client:
        client.increment_concurrency_slots(["taken"], 10, "rate_limit")
    asked: dict[str, Any] = {"manifest": prompts(3), "dataset": str(tmp_path), "credentials": credentials_of(shop)}
    late = generate_dataset(**asked, rate_limit="taken", limits=RunLimits(run_deadline_seconds=2), row_tasks=0)
    assert (late.outcomes["pending"], shop.bill()["submits"]) == (3, 0)
    make_limit("free", 100, 10)
    assert generate_dataset(**asked, rate_limit="free", row_tasks=0).is_complete


def test_a_part_is_no_more_than_half_and_then_waited_for(prefect_server: Path) -> None:
    """Whoever asks while another sends its part finds something; when all is taken, one waits about a part's time."""
    make_limit("two parts", 10, 0.05)
    rate = GlobalRate("two parts")
    assert [io_loop().run(rate.lease(100)) for _ in range(2)] == [Share(5, 0.05), Share(5, 0.05)]
    denied = io_loop().run(rate.lease(100))
    assert (denied.submissions, denied.per_second) == (0, 0.05)
    assert 50 <= denied.wait_seconds <= 150


@pytest.mark.parametrize(("name", "words"), [("nobody's", "no global concurrency limit"), ("no rate", "do not decay")])
def test_what_is_no_rate_is_refused(name: str, words: str, shop: SandboxHandle, tmp_path: Path) -> None:
    """Before anything is sent, with the command that makes one."""
    if name == "no rate":
        make_limit(name, 10, 0.0)
    asked: dict[str, Any] = {"credentials": credentials_of(shop), "rate_limit": name}
    with pytest.raises(ConfigurationError, match=words):
        generate_dataset(prompts(1), str(tmp_path), **asked)
    assert shop.bill()["submits"] == 0
