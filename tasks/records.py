"""What a dataset holds, as a table, for whatever comes after it in a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_trinetra.blocks.storage import StorageBlock, resolve
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.known import load_known
from prefect_trinetra.loop import io_loop
from prefect_trinetra.records import records_table
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.storage import Storage

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_records"]


def read_records(dataset: str | DatasetReport, storage: StorageBlock | None = None) -> pa.Table:
    """Everything recorded in a dataset as an Arrow table: one row an image, or one row a request that has none.

    `file_name` is relative to the dataset; times are seconds since the epoch. What runs under way have journaled is in
    it. The manifest's own columns are in the dataset's metadata.parquet. Raises DatasetError where there is no dataset.
    """
    name = dataset.dataset_url if isinstance(dataset, DatasetReport) else dataset
    folder = Storage.open(*resolve(storage, name))
    known = io_loop().run(load_known(folder))
    if known.is_empty:
        raise DatasetError(f"{folder.url} holds no records: check the address, or run generate_dataset first")
    return records_table(known.recorded())
