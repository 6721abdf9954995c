"""WebDataset: tar files of samples, each an image, its row as JSON and its prompt as text."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.export.pictures import Picture, PictureReader
from prefect_trinetra.export.worker import Worker

__all__ = ["json_rows", "sample_key", "write_tar"]

# Written by one thread in one go: a change of threads for each sample would cost as much as the sample.
GROUP_BYTES: Final = 8_000_000
GROUP_ROWS: Final = 256


async def write_tar(path: Path, table: pa.Table, reader: PictureReader, worker: Worker) -> int:
    """Writes one shard; how many samples it holds. The same pictures always make the same bytes."""
    writer_class = _tar_writer()
    count = 0
    with path.open("wb") as file:
        writer = writer_class(file, encoder=False, mtime=0, user="root", group="root", mode=0o644)
        try:
            while group := await reader.group(most_bytes=GROUP_BYTES, most_rows=GROUP_ROWS):
                await worker.do(partial(_write_group, writer, table, group))
                count += len(group)
            writer.close()
        except BaseException:
            with contextlib.suppress(Exception):  # else it is closed once its file is: then, it would say so
                writer.close()
            raise
    return count


def _write_group(writer: Any, table: pa.Table, group: list[Picture]) -> None:
    rows = json_rows(table.take(pa.array([each.position for each in group], pa.int64())))
    for picture, row in zip(group, rows, strict=True):
        writer.write(_sample(picture, row))


def json_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table, each value as Python has it; times finer than a microsecond as text."""
    for index, column in enumerate(table.schema):
        if getattr(column.type, "unit", None) == "ns":
            table = table.set_column(index, column.name, pc.cast(table[column.name], pa.string()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def sample_key(file_name: str) -> str:
    """What the members of a sample are called before their dot: the image's own name."""
    return file_name.rpartition("/")[2].partition(".")[0]


def _sample(picture: Picture, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "__key__": sample_key(picture.file_name),
        picture.file_name.rpartition(".")[2]: picture.data,
        "json": orjson.dumps(row, default=_plain, option=orjson.OPT_UTC_Z),
        "txt": (row.get("prompt") or "").encode(),
    }


def _plain(value: Any) -> Any:
    """What JSON has no word for: bytes as Base64, everything else as text."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _tar_writer() -> Any:
    try:
        from webdataset import TarWriter
    except ImportError as error:
        raise ConfigurationError(
            "what writes WebDataset is not installed: pip install 'prefect-trinetra[export]', or choose parquet or "
            "imagefolder, which need nothing more"
        ) from error
    return TarWriter
