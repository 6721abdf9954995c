"""The images of a dataset that someone should look at, as its published table names them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.errors import DatasetError
from prefect_trinetra.storage import Storage
from prefect_trinetra.views import METADATA_FILE

__all__ = ["OddImage", "Oddities", "read_oddities"]

COLUMNS: Final = ("file_name", "prompt", "suspect", "near_duplicate_of")


@dataclass(frozen=True, slots=True)
class OddImage:
    """An image that is suspect, or nearly equals an earlier one, or both."""

    file_name: str
    prompt: str
    suspect: str | None
    near_duplicate_of: str | None


@dataclass(frozen=True, slots=True)
class Oddities:
    """Of `images` images these are odd, in the order of the manifest."""

    images: int
    odd: Sequence[OddImage]


async def read_oddities(storage: Storage) -> Oddities:
    """Raises DatasetError where no run has ended yet, and where an early version wrote the table."""
    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        file = Path(folder) / METADATA_FILE
        try:
            await storage.download(METADATA_FILE, file)
        except FileNotFoundError as error:
            raise DatasetError(f"{storage.url} has no {METADATA_FILE}: no run has ended yet") from error
        if missing := [name for name in COLUMNS if name not in pq.read_schema(file).names]:
            raise DatasetError(
                f"{storage.url}/{METADATA_FILE} was written by an earlier version (it has no {', '.join(missing)}): "
                "generate again with the same manifest, which is free"
            )
        table = pq.read_table(file, columns=list(COLUMNS))
    is_odd = pc.or_(pc.is_valid(table["suspect"]), pc.is_valid(table["near_duplicate_of"]))
    return Oddities(table.num_rows, [OddImage(**row) for row in table.filter(is_odd).to_pylist()])
