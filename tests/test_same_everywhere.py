"""One run, three kinds of storage: the same dataset, byte for byte."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from object_store import running_object_store
from prefect_trinetra.loop import io_loop
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.storage import Storage
from runs import outcomes, prompts, run

ROWS = [*prompts(6), {"prompt": "forbidden-by-moderation"}, {"prompt": " "}, *prompts(1)]
# What no two runs share, wherever they write.
OF_ITS_RUN = ["job_id", "submitted_at", "finished_at"]


@dataclass(frozen=True)
class Place:
    url: str
    options: dict[str, Any] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        """Every file that a user reads, with its bytes."""
        storage = Storage.open(self.url, self.options)
        names = [name for name in io_loop().run(storage.list()) if name.startswith(("images/", "metadata", "rows"))]
        return {name: io_loop().run(storage.read(name)) for name in names}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0, pixels=64, pictures="stamped") as handle:
        yield handle


@pytest.fixture(scope="module")
def datasets(sandbox: SandboxHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, bytes]]]:
    """The same rows, bought into a local folder, into memory and into a bucket."""
    with running_object_store() as store:
        places = [
            Place(str(tmp_path_factory.mktemp("local"))),
            Place("memory://same-everywhere"),
            Place(f"s3://{store.new_bucket()}/deep/dataset", store.options),
        ]
        for place in places:
            _bought(sandbox, place)
        yield [place.files() for place in places]


def _bought(sandbox: SandboxHandle, place: Place) -> None:
    sandbox.reset()  # it makes another picture of what it was asked for before
    low = ImageParameters(n=2, quality="low")
    report = run(sandbox, ROWS, place.url, storage_options=place.options, parameters=low)
    assert outcomes(report) == {"succeeded": 7, "refused": 1, "invalid": 1}
    submits = sandbox.bill()["submits"]
    run(sandbox, ROWS, place.url, storage_options=place.options, parameters=low)
    assert sandbox.bill()["submits"] == submits


def test_the_images_are_the_same_bytes_under_the_same_names(datasets: list[dict[str, bytes]]) -> None:
    """Rule: an image's name is told by its request and its bytes, so it is the same everywhere."""
    pictures = [{name: data for name, data in files.items() if name.startswith("images/")} for files in datasets]
    assert len(pictures[0]) == 12
    assert pictures[0] == pictures[1] == pictures[2]


@pytest.mark.parametrize("name", ["metadata.parquet", "rows.parquet"])
def test_the_views_say_the_same(name: str, datasets: list[dict[str, bytes]]) -> None:
    """Rule: all but times and job ids."""
    tables = [_comparable(pq.read_table(io.BytesIO(files[name]))) for files in datasets]
    assert tables[0].num_rows > 0
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def _comparable(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in OF_ITS_RUN if name in table.column_names])
