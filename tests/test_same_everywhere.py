"""One run on every kind of storage: the same dataset, byte for byte."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from places import Place, Store
from prefect_trinetra.loop import io_loop
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.storage import Storage
from runs import outcomes, prompts, run
from stores import STORES

pytestmark = pytest.mark.slow

ROWS = [*prompts(6), {"prompt": "forbidden-by-moderation"}, {"prompt": " "}, *prompts(1)]
# What no two runs share, wherever they write.
OF_ITS_RUN = ["job_id", "submitted_at", "finished_at"]


def files(place: Place) -> dict[str, bytes]:
    """Every file that a user reads, with its bytes."""
    storage = Storage.open(place.url, place.options)
    names = [name for name in io_loop().run(storage.list()) if name.startswith(("images/", "metadata", "rows"))]
    return {name: io_loop().run(storage.read(name)) for name in names}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0, pixels=64, pictures="stamped") as handle:
        yield handle


def bought(sandbox: SandboxHandle, store: Store) -> dict[str, bytes]:
    """The same rows, bought into a fresh folder of the store; another run there is free."""
    sandbox.reset()  # it makes another picture of what it was asked for before
    place, low = store.new_place(), ImageParameters(n=2, quality="low")
    spec: dict[str, Any] = {"storage_options": place.options, "parameters": low, "lease": store.has_lease}
    report = run(sandbox, ROWS, place.url, **spec)
    assert outcomes(report) == {"succeeded": 7, "refused": 1, "invalid": 1}
    submits = sandbox.bill()["submits"]
    run(sandbox, ROWS, place.url, **spec)
    assert sandbox.bill()["submits"] == submits
    return files(place)


@pytest.fixture(scope="module")
def on_a_disk(sandbox: SandboxHandle, stores: Callable[[str], Store]) -> dict[str, bytes]:
    return bought(sandbox, stores("local"))


@pytest.mark.parametrize("name", [name for name in STORES if name != "local"])
def test_a_dataset_is_the_same_wherever_it_is(
    name: str, on_a_disk: dict[str, bytes], sandbox: SandboxHandle, stores: Callable[[str], Store]
) -> None:
    """Rule: the same bytes under the same names; and tables that say the same, but for times and job ids."""
    elsewhere = bought(sandbox, stores(name))
    assert len(_pictures(elsewhere)) == 12
    assert _pictures(elsewhere) == _pictures(on_a_disk)
    for view in ("metadata.parquet", "rows.parquet"):
        table = _comparable(elsewhere[view])
        assert table.num_rows > 0
        assert table.equals(_comparable(on_a_disk[view]))


def _pictures(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in found.items() if name.startswith("images/")}


def _comparable(data: bytes) -> pa.Table:
    table = pq.read_table(io.BytesIO(data))
    return table.drop_columns([name for name in OF_ITS_RUN if name in table.column_names])
