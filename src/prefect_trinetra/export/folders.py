"""An image folder: the images as files, and beside them one table a split, which the datasets library reads."""

from __future__ import annotations

import asyncio
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from prefect_trinetra.export.pictures import PictureReader
from prefect_trinetra.storage import Storage

__all__ = ["folder_name", "folder_rows", "write_pictures"]

# Written side by side, while the next ones are read.
GROUP_BYTES: Final = 16_000_000
GROUP_ROWS: Final = 64
IMAGES_PREFIX: Final = "^images/"


def folder_name(file_name: str) -> str:
    """Where an image lies below its split's folder: as in the dataset, without `images/`."""
    return file_name.removeprefix("images/")


def folder_rows(table: pa.Table) -> pa.Table:
    """The rows of a split's own table, whose `file_name` is relative to it."""
    index = table.schema.get_field_index("file_name")
    names = pc.replace_substring_regex(table["file_name"], pattern=IMAGES_PREFIX, replacement="")
    return table.set_column(index, "file_name", names)


async def write_pictures(storage: Storage, folder: str, reader: PictureReader) -> tuple[int, int]:
    """Writes images below `folder`; how many, and their bytes."""
    count = size = 0
    while group := await reader.group(most_bytes=GROUP_BYTES, most_rows=GROUP_ROWS):
        paths = [f"{folder}/{folder_name(picture.file_name)}" for picture in group]
        async with asyncio.TaskGroup() as writes:
            for path, picture in zip(paths, group, strict=True):
                writes.create_task(storage.write(path, picture.data), name=f"write {path}")
        count += len(group)
        size += sum(len(picture.data) for picture in group)
    return count, size
