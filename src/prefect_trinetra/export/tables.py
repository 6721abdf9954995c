"""The tables beside the images: one for all of a WebDataset, one a split of an image folder; Parquet has its own."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, assert_never

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prefect_trinetra.export.folders import folder_rows
from prefect_trinetra.export.report import ExportReport
from prefect_trinetra.export.selection import Selection
from prefect_trinetra.export.shards import ShardPlan, ShardRows
from prefect_trinetra.export.spec import ExportFormat
from prefect_trinetra.export.target import DATA_FOLDER, METADATA_FILE
from prefect_trinetra.export.worker import Worker
from prefect_trinetra.storage import Storage

__all__ = ["MEMBER_COLUMN", "SHARD_COLUMN", "table_schema", "write_tables"]

# Which tar file an image is in, and under which name.
SHARD_COLUMN: Final = "shard"
MEMBER_COLUMN: Final = "image_file"
_FOLDERS: Final = r"^.*/"


def table_schema(columns: pa.Schema, export_format: ExportFormat) -> pa.Schema:
    """The columns of the table beside the images, which for Parquet are the shards' own."""
    match export_format:
        case ExportFormat.WEBDATASET:
            return columns.append(pa.field(SHARD_COLUMN, pa.string())).append(pa.field(MEMBER_COLUMN, pa.string()))
        case ExportFormat.PARQUET | ExportFormat.IMAGEFOLDER:
            return columns
        case never:
            assert_never(never)


async def write_tables(
    report: ExportReport, selection: Selection, plan: ShardPlan, goal: Storage, *, folder: Path, worker: Worker
) -> None:
    """Writes the tables of the rows whose images are in the export, and stores them."""
    tables = _Tables(report, selection, folder)
    for path, local in (await worker.do(partial(tables.written, plan))).items():
        await goal.upload(local, path)


@dataclass
class _Tables:
    report: ExportReport
    selection: Selection
    folder: Path
    _files: dict[str, Path] = field(default_factory=dict)

    def written(self, plan: ShardPlan) -> dict[str, Path]:
        """The tables by where they go."""
        if self.report.format == ExportFormat.PARQUET:
            return {}
        writers: dict[str, pq.ParquetWriter] = {}
        with ExitStack() as stack:
            for shard, file in zip(plan.shards(self.selection), self.report.files, strict=True):
                path, table = self._place_and_rows(shard, file.path)
                if path not in writers:
                    self._files[path] = self.folder / f"table-{len(writers)}.parquet"
                    writer = pq.ParquetWriter(self._files[path], table.schema, compression="zstd")
                    writers[path] = stack.enter_context(writer)
                writers[path].write_table(table)
        return self._files

    def _place_and_rows(self, shard: ShardRows, shard_path: str) -> tuple[str, pa.Table]:
        unreadable = pa.array(sorted(self.report.unreadable), pa.string())
        rows = shard.table.filter(pc.invert(pc.is_in(shard.table["file_name"], value_set=unreadable)))
        rows = self.selection.exported(rows)
        if self.report.format == ExportFormat.IMAGEFOLDER:
            return f"{DATA_FOLDER}/{shard.split}/{METADATA_FILE}", folder_rows(rows)
        own_names = pc.replace_substring_regex(rows["file_name"], pattern=_FOLDERS, replacement="")
        paths = pa.array([shard_path] * rows.num_rows, pa.string())
        return METADATA_FILE, rows.append_column(SHARD_COLUMN, paths).append_column(MEMBER_COLUMN, own_names)
