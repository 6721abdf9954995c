"""Datasets to export, and exports read back by the libraries that people load them with."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from prefect_trinetra.export.exporting import export_dataset
from prefect_trinetra.export.report import ExportReport
from prefect_trinetra.export.spec import ExportFormat, ExportSpec
from prefect_trinetra.sandbox.process import SandboxHandle
from runs import run

# Nothing is looked for on the network, nor left in the user's own folders.
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
# Columns with the names of ours, types that JSON lacks, and text that breaks quoting.
LABELS = ("sea", "still life", "Zürich")
ROWS = [
    {
        "prompt": f'A kite, number {number}: "quotes", commas,\ttabs, {"{braces}"} and 雪',
        "label": LABELS[number % 3],
        "image": f"theirs-{number}",
        "shard": number,
        "weight": None if number == 3 else number / 7,
        "tags": ["a", f"b{number}"],
        "n": 1 + number % 2,
    }
    for number in range(12)
]


def kites(shop: SandboxHandle, folder: Path) -> Path:
    """A dataset of 18 images for 12 rows."""
    shop.reset()
    report = run(shop, ROWS, folder / "kites")
    assert report.images == 18
    return folder / "kites"


def export(dataset: Path | str, to: Path | str, export_format: str = "webdataset", **spec: Any) -> ExportReport:
    return export_dataset(ExportSpec(str(dataset), str(to), format=ExportFormat(export_format), **spec))


def metadata(dataset: Path) -> dict[str, dict[str, Any]]:
    """The rows of a dataset's table by the images' own names."""
    rows = pq.read_table(dataset / "metadata.parquet").to_pylist()
    return {base_name(row["file_name"]): row for row in rows}


def base_name(file_name: str) -> str:
    return file_name.rpartition("/")[2]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def without_network() -> None:
    """To be called before `datasets` and `mlcroissant` are imported for the first time."""
    cache = tempfile.mkdtemp(prefix="croissant-")
    atexit.register(shutil.rmtree, cache, ignore_errors=True)
    os.environ.update({**OFFLINE, "CROISSANT_CACHE": cache})


def plain(value: Any) -> Any:
    """A value as JSON gives it back."""
    return json.loads(json.dumps(value, default=lambda odd: odd.isoformat().replace("+00:00", "Z")))


def exported_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row under the names that an export gives its columns."""
    renamed = {"image": "manifest_image", "shard": "manifest_shard"}
    return {renamed.get(name, name): value for name, value in row.items()}


def tar_samples(export_folder: Path, split: str = "train") -> Iterator[dict[str, Any]]:
    """The samples of a split, read as plain tar files."""
    for shard in sorted((export_folder / "data").glob(f"{split}-*.tar")):
        samples: dict[str, dict[str, Any]] = {}
        with tarfile.open(shard) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                samples.setdefault(key, {"__key__": key})[extension] = file.read()
        yield from samples.values()
