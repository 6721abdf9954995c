"""An image folder: the images as files, and beside them one table a split, which the datasets library reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from prefect_trinetra.export.pictures import Picture
from prefect_trinetra.storage import Storage

__all__ = ["folder_name", "folder_rows", "write_pictures"]

WRITES_AHEAD: Final = 32
IMAGES_PREFIX: Final = "^images/"


def folder_name(file_name: str) -> str:
    """Where an image lies below its split's folder: as in the dataset, without `images/`."""
    return file_name.removeprefix("images/")


def folder_rows(table: pa.Table) -> pa.Table:
    """The rows of a split's own table, whose `file_name` is relative to it."""
    index = table.schema.get_field_index("file_name")
    names = pc.replace_substring_regex(table["file_name"], pattern=IMAGES_PREFIX, replacement="")
    return table.set_column(index, "file_name", names)


async def write_pictures(storage: Storage, folder: str, pictures: AsyncIterator[Picture]) -> tuple[int, int]:
    """Writes images below `folder`; how many, and their bytes."""
    writes: set[asyncio.Task[None]] = set()
    count = size = 0
    try:
        async for picture in pictures:
            if len(writes) >= WRITES_AHEAD:
                done, writes = await asyncio.wait(writes, return_when=asyncio.FIRST_COMPLETED)
                _raise_first(done)
            path = f"{folder}/{folder_name(picture.file_name)}"
            writes.add(asyncio.create_task(storage.write(path, picture.data), name=f"write {path}"))
            count += 1
            size += len(picture.data)
        _raise_first(await _all_of(writes))
    finally:
        for write in writes:
            write.cancel()
        await asyncio.gather(*writes, return_exceptions=True)
    return count, size


async def _all_of(writes: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    return (await asyncio.wait(writes))[0] if writes else set()


def _raise_first(done: set[asyncio.Task[None]]) -> None:
    for write in done:
        write.result()
