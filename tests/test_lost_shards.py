"""When a shard's worker counts as gone, and whom a shard trusts."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_trinetra.engine import ShardReport
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.flows.pool import is_silent
from prefect_trinetra.holdings import Holding, HoldState, LeaseTimes, Sighting
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.shard_reports import read_report, report_bytes
from prefect_trinetra.spec import RunLimits
from prefect_trinetra.storage import Storage
from prefect_trinetra.window import ShardOrder, work_on_shard

TIMES = LeaseTimes(20)
HELD = Holding.new("run", "token", TIMES)
BEGUN = Sighting(1, HELD.to_json(), first_seen_at=100.0)
LET_GO = Sighting(1, HELD.ended(HoldState.RELEASED).to_json(), first_seen_at=100.0)


@pytest.mark.parametrize(
    ("sighting", "is_its_own", "alive_at", "gone_at"),
    [
        (BEGUN, True, 159, 161),
        (BEGUN, False, 699, 701),  # an earlier worker's: the new one is still on its way
        (LET_GO, True, 699, 701),  # it writes its report
        (Sighting(first_seen_at=100.0), False, 699, 701),
    ],
    ids=["held", "held by an earlier one", "let go", "not begun"],
)
def test_three_silent_leases_are_a_death(sighting: Sighting, is_its_own: bool, alive_at: float, gone_at: float) -> None:  # noqa: FBT001  # a parameter of the table above
    """Where it holds none, ten minutes are."""
    assert not is_silent(sighting, alive_at, TIMES, is_its_own=is_its_own)
    assert is_silent(sighting, gone_at, TIMES, is_its_own=is_its_own)


async def test_a_worker_with_an_account_elsewhere_orders_nothing(shop: SandboxHandle, tmp_path: Path) -> None:
    """Real pictures would come into a dataset of the sandbox's, or the other way round."""
    order = ShardOrder(str(tmp_path), "id", "plan", "00000", "run", RunLimits(), origin="https://api.example")
    with pytest.raises(DatasetError, match="is made at"):
        await work_on_shard(order, Storage.open(str(tmp_path)), Account.of("key", shop.url), TrinetraSettings())
    assert shop.bill()["submits"] == 0


def test_a_report_comes_back_as_it_was() -> None:
    """Through the dataset, as JSON."""
    report = ShardReport("00000", 2, {"succeeded": 2}, 2, 2, 99, 14.0, 14.0, 12.5, 12.5, "stopped", ("row 1: x",))
    assert read_report(report_bytes(report)) == report
