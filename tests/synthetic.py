"""Large datasets in no time: tables and files as a run leaves them, with noise for pictures."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["synthetic_dataset"]

BATCH = 1_000


def synthetic_dataset(folder: Path, *, images: int, image_bytes: int) -> Path:
    """A dataset of that many files. They are no pictures, which nobody looks at who only carries them."""
    folder.mkdir(parents=True)
    identity = {"layout_version": 1, "id": "synthetic", "origin": "http://sandbox", "account_label": ""}
    (folder / "dataset.json").write_bytes(orjson.dumps(identity | {"made_at": "2026-01-01T00:00:00+00:00"}))
    writer: pq.ParquetWriter | None = None
    for table in _tables(folder, images, image_bytes):
        writer = writer or pq.ParquetWriter(folder / "metadata.parquet", table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return folder


def _tables(folder: Path, images: int, image_bytes: int) -> Iterator[pa.Table]:
    source = random.Random(0)  # noqa: S311  # noise that is the same each time
    for start in range(0, images, BATCH):
        numbers = range(start, min(images, start + BATCH))
        table = pa.Table.from_pylist([_stored(folder, number, source.randbytes(image_bytes)) for number in numbers])
        yield table.cast(pa.schema([(field.name, _type(field)) for field in table.schema]))


def _type(field: pa.Field) -> pa.DataType:
    if field.name.endswith("_at"):
        return pa.timestamp("us", tz="UTC")
    return pa.string() if pa.types.is_null(field.type) else field.type


def _stored(folder: Path, number: int, data: bytes) -> dict[str, object]:
    key, digest = hashlib.sha256(str(number).encode()).hexdigest(), hashlib.sha256(data).hexdigest()
    name = f"images/{key[:2]}/{key}-0-{digest[:8]}.png"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {
        "file_name": name,
        "key": key,
        "sample": 0,
        "index": 0,
        "prompt": f"A kite, number {number}, over a beach on a windy day with many people who look at it",
        "model": "gpt-image-2",
        "quality": "low",
        "job_id": f"job_{number}",
        "width": 1024,
        "height": 1024,
        "format": "png",
        "bytes": len(data),
        "sha256": digest,
        "credits_charged": 3.0,
        "suspect": None,
        "submitted_at": 1_770_000_000_000_000 + number,
        "finished_at": 1_770_000_010_000_000 + number,
        "label": ("sea", "city", "still life")[number % 3],
    }
