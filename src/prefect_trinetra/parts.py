"""The Parquet files in `attempts/` and `records/` that shards leave: written, read by their columns, and folded."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from prefect_trinetra.errors import DatasetError
from prefect_trinetra.ledger import Attempt, attempts_table
from prefect_trinetra.records import Record, records_table
from prefect_trinetra.storage import Storage

__all__ = [
    "ATTEMPTS_FOLDER",
    "FOLDED",
    "RECORDS_FOLDER",
    "Parts",
    "fold_parts",
    "read_files",
    "side_by_side",
    "store_parts",
    "until_none_vanishes",
]

T = TypeVar("T")

ATTEMPTS_FOLDER: Final = "attempts"
RECORDS_FOLDER: Final = "records"
# Small files side by side: enough to hide an object store's latency, few enough for its connection pool.
CALLS_AT_ONCE: Final = 32
# Text that many rows share is kept once.
REPEATED: Final = frozenset(
    {"run_id", "plan_id", "shard", "writer", "state", "outcome", "reason", "reason_class", "format", "package_version"}
)
# In the name of a file that was made of several.
FOLDED: Final = "folded"
# Fewer small files than this are read as fast as one.
FOLD_FROM: Final = 16
# About 40,000 attempts: few files for a dataset of any size, and little memory for whoever reads one.
FOLDED_BYTES: Final = 8 * 2**20
GROUP_ROWS: Final = 20_000
CHUNK_ROWS: Final = 100_000
PART_DIGITS: Final = 12
# A run that folds meanwhile takes files away once, at its end.
LOOKS: Final = 5


class PartVanished(Exception):  # no error: whoever reads looks again
    """A file was listed, and not there when it was to be read: it was folded into another one meanwhile."""


async def store_parts(storage: Storage, stem: str, attempts: list[Attempt], records: list[Record]) -> None:
    """Writes attempts, then records, each as one Parquet file of that name."""
    if attempts:
        data = await asyncio.to_thread(lambda: _bytes(attempts_table(attempts)))
        await storage.write(f"{ATTEMPTS_FOLDER}/{stem}.parquet", data, durable=True)
    if records:
        data = await asyncio.to_thread(lambda: _bytes(records_table(records)))
        await storage.write(f"{RECORDS_FOLDER}/{stem}.parquet", data, durable=True)


class Parts:
    """The parts of one folder, as they were listed once. Reading raises PartVanished where one is no longer there."""

    def __init__(self, storage: Storage, sizes: Mapping[str, int]) -> None:
        self._storage = storage
        self._sizes = {path: sizes[path] for path in sorted(sizes) if path.endswith(".parquet")}

    @classmethod
    async def of(cls, storage: Storage, folder: str, *stems: str) -> Parts:
        """Those whose names begin with one of `stems`; all where there is none."""
        beginnings = tuple(f"{folder}/{stem}" for stem in stems or ("",))
        sizes = await storage.sizes(folder)
        return cls(storage, {path: size for path, size in sizes.items() if path.startswith(beginnings)})

    async def columns(
        self, schema: pa.Schema, change: Callable[[pa.Table], pa.Table] = lambda table: table
    ) -> pa.Table:
        """These columns of all rows, null where a part does not have them. `change` is applied to each part."""
        compact = _compact(schema)
        found = _Chunks(change(compact.empty_table()))

        def parse(path: str, data: bytes) -> list[pa.Table]:
            with _readable(path):
                found.add(change(_whole(path, data, compact)))
            return []

        await self._each(parse)
        return await asyncio.to_thread(found.all)

    async def rows(self, schema: pa.Schema, wanted: Callable[[pa.Table], pa.Array]) -> pa.Table:
        """The rows that `wanted` is true of, which are to be few."""
        tables = await self._each(
            lambda path, data: [group.filter(wanted(group)) for group in _groups(path, data, schema)]
        )
        return pa.concat_tables([schema.empty_table(), *tables])

    async def _each(self, parse: Callable[[str, bytes], list[pa.Table]]) -> list[pa.Table]:
        """What `parse` makes of each file, in their order; only so much is in memory as it is."""

        def work(contents: dict[str, bytes]) -> list[pa.Table]:
            tables: list[pa.Table] = []
            for path in list(contents):
                tables += parse(path, contents.pop(path))
            # The allocator keeps what a thread has freed for that thread alone.
            pa.default_memory_pool().release_unused()
            return tables

        tables: list[pa.Table] = []
        for paths in _batches(self._sizes):
            contents = await read_files(self._storage, paths)
            if None in contents:
                raise PartVanished
            named = {path: data for path, data in zip(paths, contents, strict=True) if data is not None}
            del contents
            tables += await asyncio.to_thread(work, named)
        return tables


async def until_none_vanishes(look: Callable[[], Awaitable[T]], url: str) -> T:
    """What `look` returns, which lists parts and reads them; again where one was folded in between."""
    for _ in range(LOOKS):
        try:
            return await look()
        except PartVanished:
            continue
    raise DatasetError(f"the ledger of {url} changes while it is read: try again")


async def fold_parts(storage: Storage, plan_id: str) -> int:
    """Makes few large files of many small ones, those of a plan apart from those of earlier plans; how many it made.

    To be called by the dataset's one holder, whose plan it is. Nothing is merged, and what is folded is deleted only
    when it is stored anew: a crash leaves doubles, which do no harm. A shard that a worker opens again finds its own
    rows in the files of its plan.
    """
    made = 0
    for folder in (ATTEMPTS_FOLDER, RECORDS_FOLDER):
        sizes = await storage.sizes(folder)
        small = {path: sizes[path] for path in sorted(sizes) if _is_small_part(path, sizes[path])}
        mine = {path: size for path, size in small.items() if path.startswith(f"{folder}/{plan_id}-")}
        earlier = {
            path: size
            for path, size in small.items()
            if path.startswith(f"{folder}/{FOLDED}-") or (path not in mine and path < f"{folder}/{plan_id}")
        }
        for stem, chosen in ((f"{plan_id}-{FOLDED}", mine), (FOLDED, earlier)):
            for paths in _foldable(chosen):
                made += await _fold(storage, f"{folder}/{stem}", paths)
    return made


def _is_small_part(path: str, size: int) -> bool:
    return path.endswith(".parquet") and path.count("/") == 1 and size < FOLDED_BYTES // 2


def _foldable(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Files to be folded into one: as many as make a large one, or, at the end, so many that it is worth it."""
    group: list[str] = []
    for path in sizes:
        group.append(path)
        if sum(sizes[each] for each in group) >= FOLDED_BYTES:
            yield group
            group = []
    if len(group) >= FOLD_FROM:
        yield group


async def _fold(storage: Storage, stem: str, paths: Sequence[str]) -> bool:
    contents = await read_files(storage, paths)
    if any(data is None for data in contents):
        return False
    digest = hashlib.sha256("\n".join(paths).encode()).hexdigest()[:PART_DIGITS]
    named = {path: data for path, data in zip(paths, contents, strict=True) if data is not None}
    await storage.write(f"{stem}-{digest}.parquet", await asyncio.to_thread(_folded, named), durable=True)
    await side_by_side([partial(storage.delete, path) for path in paths])
    return True


def _folded(contents: Mapping[str, bytes]) -> bytes:
    """One file with the rows of all; a column that only some have is null in the others."""
    tables = []
    for path, data in contents.items():
        with _readable(path):
            tables.append(pq.ParquetFile(pa.BufferReader(data)).read())
    return _bytes(pa.concat_tables(tables, promote_options="default"))


def _batches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Files to be held in memory at once."""
    batch: list[str] = []
    for path in sizes:
        batch.append(path)
        if len(batch) == CALLS_AT_ONCE or sum(sizes[each] for each in batch) >= FOLDED_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


class _Chunks:
    """Rows of many parts, in chunks that are large enough to be few, and small enough to be copied."""

    def __init__(self, empty: pa.Table) -> None:
        self._chunks = [empty]
        self._small: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        self._small.append(table)
        if sum(each.num_rows for each in self._small) >= CHUNK_ROWS:
            self._close()

    def _close(self) -> None:
        self._chunks.append(pa.concat_tables(self._small).unify_dictionaries().combine_chunks())
        self._small = []

    def all(self) -> pa.Table:
        if self._small:
            self._close()
        return pa.concat_tables(self._chunks).unify_dictionaries()


def _compact(schema: pa.Schema) -> pa.Schema:
    kinds = [pa.dictionary(pa.int32(), each.type) if each.name in REPEATED else each.type for each in schema]
    return pa.schema(list(zip(schema.names, kinds, strict=True)))


def _whole(path: str, data: bytes, schema: pa.Schema) -> pa.Table:
    with _readable(path):
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=[*REPEATED.intersection(schema.names)])
        names = [name for name in schema.names if name in file.schema_arrow.names]
        return _as(schema, file.read(columns=names, use_threads=False))


def _groups(path: str, data: bytes, schema: pa.Schema) -> Iterator[pa.Table]:
    with _readable(path):
        file = pq.ParquetFile(pa.BufferReader(data))
        names = [name for name in schema.names if name in file.schema_arrow.names]
        for number in range(file.metadata.num_row_groups):
            yield _as(schema, file.read_row_group(number, columns=names, use_threads=False))


def _as(schema: pa.Schema, table: pa.Table) -> pa.Table:
    columns = [
        table[each.name].cast(each.type) if each.name in table.column_names else pa.nulls(table.num_rows, each.type)
        for each in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DatasetError(
            f"{path} can't be read as a part of this dataset ({error}): restore it from a copy"
        ) from error


def _bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=GROUP_ROWS)
    return sink.getvalue()


async def read_files(storage: Storage, paths: Sequence[str]) -> list[bytes | None]:
    """The files' contents in order; None for one that is not there, as when a closing writer deleted it meanwhile."""

    async def read(path: str) -> bytes | None:
        try:
            return await storage.read(path)
        except FileNotFoundError:
            return None

    return await side_by_side([partial(read, path) for path in paths])


async def side_by_side(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """The results in order; only so many at once."""
    gate = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await call()

    return await asyncio.gather(*(one(call) for call in calls))
