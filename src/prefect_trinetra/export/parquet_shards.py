"""Parquet with the images in it, as the datasets library and the Hub's viewer show them."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from prefect_trinetra.export.pictures import Picture, PictureReader
from prefect_trinetra.export.selection import IMAGE_COLUMN
from prefect_trinetra.export.worker import Worker

__all__ = ["ROW_GROUP_BYTES", "write_parquet"]

# A reader holds a row group whole, and so does this writer, twice. The Hub's own tools aim at 100 MB at most.
ROW_GROUP_BYTES: Final = 32_000_000
# Tiny images: a group is what random access has to read.
ROW_GROUP_ROWS: Final = 1_000
# Without this word the datasets library takes the column for a struct of bytes.
IMAGE_FEATURE: Final = {"info": {"features": {IMAGE_COLUMN: {"_type": "Image"}}}}
IMAGE_TYPE: Final = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGE_BYTES: Final = f"{IMAGE_COLUMN}.bytes"


async def write_parquet(path: Path, table: pa.Table, reader: PictureReader, worker: Worker) -> int:
    """Writes one shard, in row groups of at most 32 MB of images; how many rows it holds."""
    schema = pa.schema(
        [pa.field(IMAGE_COLUMN, IMAGE_TYPE), *table.schema], metadata={"huggingface": orjson.dumps(IMAGE_FEATURE)}
    )
    count = 0
    with pq.ParquetWriter(path, schema, write_page_index=True, **_encodings(schema)) as writer:
        while group := await reader.group(most_bytes=ROW_GROUP_BYTES, most_rows=ROW_GROUP_ROWS):
            await worker.do(partial(_write_group, writer, schema, table, group))
            count += len(group)
    return count


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """Everything compressed but the images, which are so already; no statistics nor dictionary of images."""
    empty = io.BytesIO()
    pq.write_table(schema.empty_table(), empty)
    found = pq.ParquetFile(empty).schema
    others = [path for path in (found.column(number).path for number in range(len(found))) if path != IMAGE_BYTES]
    return {
        "compression": dict.fromkeys(others, "zstd") | {IMAGE_BYTES: "none"},
        "use_dictionary": others,
        "write_statistics": others,
    }


def _write_group(writer: pq.ParquetWriter, schema: pa.Schema, table: pa.Table, group: list[Picture]) -> None:
    data, names = pa.array([each.data for each in group], pa.binary()), pa.array([each.base_name for each in group])
    images = pa.StructArray.from_arrays([data, names], fields=list(IMAGE_TYPE))
    rows = table.take(pa.array([each.position for each in group], pa.int64()))
    writer.write_table(pa.Table.from_arrays([images, *rows.columns], schema=schema))
