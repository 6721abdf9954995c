"""What a file says of its own origin is still in it, in the dataset and in every export; tables say the same."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from exports import export, metadata, sha256, tar_samples
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.sandbox.process import SandboxHandle
from runs import run

FORMATS = ("png", "jpeg", "webp")
XMP = re.compile(rb"<x:xmpmeta.*</x:xmpmeta>", re.DOTALL)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG file, by their types."""
    place = 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += 12 + length


def provenance(data: bytes) -> bytes:
    """The C2PA chunk of a PNG, the XMP packet of a JPEG or WebP: what tools look for."""
    if data.startswith(b"\x89PNG"):
        return dict(png_chunks(data))[b"caBX"]
    found = XMP.search(data)
    assert found is not None
    return found[0]


@pytest.fixture(scope="module")
def datasets(session_shop: SandboxHandle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One dataset a format, of files that carry provenance data."""
    session_shop.reset()
    root = tmp_path_factory.mktemp("datasets")
    for name in FORMATS:
        parameters = ImageParameters.model_validate({"output_format": name})
        run(session_shop, [{"prompt": "A kite"}, {"prompt": "A boat"}], root / name, parameters=parameters)
    return {name: root / name for name in FORMATS}


def exported_files(dataset: Path, folder: Path, export_format: str) -> list[bytes]:
    """The image files in an export, as they lie in it."""
    export(dataset, folder, export_format)
    if export_format == "webdataset":
        known = {"__key__", "json", "txt"}
        return [data for sample in tar_samples(folder) for name, data in sample.items() if name not in known]
    if export_format == "parquet":
        (file,) = (folder / "data").glob("*.parquet")
        return [image["bytes"] for image in pq.read_table(file)["image"].to_pylist()]
    return [path.read_bytes() for path in folder.rglob("*") if path.suffix in {".png", ".jpg", ".webp"}]


@pytest.mark.parametrize("export_format", ["webdataset", "parquet", "imagefolder"])
@pytest.mark.parametrize("name", FORMATS)
def test_provenance_data_survives(datasets: dict[str, Path], tmp_path: Path, name: str, export_format: str) -> None:
    """Byte for byte: nothing is encoded anew on the way from the provider to a training set."""
    rows = metadata(datasets[name]).values()
    stored = [(datasets[name] / row["file_name"]).read_bytes() for row in rows]
    assert {sha256(data) for data in stored} == {row["sha256"] for row in rows}
    assert all(provenance(data) for data in stored)
    exported = exported_files(datasets[name], tmp_path / "out", export_format)
    assert sorted(exported) == sorted(stored)


def test_each_row_says_where_its_image_came_from(datasets: dict[str, Path]) -> None:
    """Prompt, parameters, model, job, credits, times, digest, version, and IPTC's word for synthetic pictures."""
    for row in metadata(datasets["png"]).values():
        assert row["digital_source_type"] == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
        told = ("prompt", "model", "quality", "job_id", "credits_charged", "submitted_at", "sha256", "package_version")
        assert all(row[name] for name in told)
        assert row["submitted_at"] < row["finished_at"]
