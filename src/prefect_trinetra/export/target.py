"""The export's folder: whose it is, which of its files are done, and what must not be overwritten."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.export.report import ExportedFile, ExportReport
from prefect_trinetra.export.spec import ExportSpec
from prefect_trinetra.storage import Storage

__all__ = ["CARD_FILE", "CROISSANT_FILE", "DATA_FOLDER", "METADATA_FILE", "REPORT_FILE", "Target"]

REPORT_FILE: Final = "export.json"
CARD_FILE: Final = "README.md"
CROISSANT_FILE: Final = "croissant.json"
METADATA_FILE: Final = "metadata.parquet"
DATA_FOLDER: Final = "data"
# A word for each file that is whole, while the export is under way.
DONE_FOLDER: Final = ".done"
OURS: Final = (REPORT_FILE, CARD_FILE, CROISSANT_FILE, METADATA_FILE)


@dataclass(frozen=True)
class Target:
    """Where an export goes. `finished` are its files that are there already, by path.

    `complete` is the report of the same export where all of it is.
    """

    storage: Storage
    finished: Mapping[str, ExportedFile] = field(default_factory=dict)
    complete: ExportReport | None = None

    @classmethod
    async def open(cls, storage: Storage, spec: ExportSpec, begun: ExportReport) -> Target:
        """The folder, ready to be written to.

        Raises ConfigurationError where it holds anything but this export, StorageError where it can't be written to.
        """
        found = await _read_report(storage)
        if found is not None and found.fingerprint == begun.fingerprint:
            files = found.files if found.is_complete else await _finished(storage)
            there = await _still_there(storage, files)
            return cls(storage, there, found if found.is_complete and len(there) == len(files) else None)
        if found is not None and not spec.overwrite:
            raise ConfigurationError(
                f"{storage.url} holds an export of another state of the dataset, or of other parameters: choose "
                "another folder, or say overwrite to replace it"
            )
        await _clear(storage, is_export=found is not None)
        await storage.probe()
        await storage.write(REPORT_FILE, begun.model_dump_json(indent=2).encode(), durable=True)
        return cls(storage)

    async def finish(self, file: ExportedFile) -> None:
        """Notes that a file is whole, so that it is not made again."""
        await self.storage.write(f"{DONE_FOLDER}/{file.path}.json", file.model_dump_json().encode())

    async def conclude(self, report: ExportReport) -> None:
        """Writes the report, and clears away what only a broken-off export needs."""
        await self.storage.write(REPORT_FILE, report.model_dump_json(indent=2).encode(), durable=True)
        await _delete(self.storage, await self.storage.list(DONE_FOLDER))


async def _read_report(storage: Storage) -> ExportReport | None:
    try:
        return ExportReport.model_validate_json(await storage.read(REPORT_FILE))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ConfigurationError(
            f"{storage.url}/{REPORT_FILE} is no export's report: choose another folder, or delete that file"
        ) from error


async def _finished(storage: Storage) -> list[ExportedFile]:
    paths = await storage.list(DONE_FOLDER)
    return [ExportedFile.model_validate_json(data) for data in await asyncio.gather(*map(storage.read, paths))]


async def _still_there(storage: Storage, files: Sequence[ExportedFile]) -> dict[str, ExportedFile]:
    """Those that need not be made again: whole, as far as their size tells, and with all of their images."""
    sizes = await storage.sizes(DATA_FOLDER)
    return {
        file.path: file
        for file in files
        if not file.unreadable and (file.sha256 is None or sizes.get(file.path) == file.bytes)
    }


async def _clear(storage: Storage, *, is_export: bool) -> None:
    """Deletes an earlier export's files. Raises ConfigurationError for a folder that holds anything else."""
    paths = await storage.list()
    ours = [path for path in paths if path in OURS or path.startswith((f"{DATA_FOLDER}/", f"{DONE_FOLDER}/"))]
    if paths and not is_export:
        raise ConfigurationError(
            f"{storage.url} is not empty, and what is in it is no export (it has no {REPORT_FILE}): choose an "
            "empty folder"
        )
    # The report goes last: until then the folder is known for what it is.
    await _delete(storage, [path for path in ours if path != REPORT_FILE])


async def _delete(storage: Storage, paths: list[str]) -> None:
    for start in range(0, len(paths), 64):
        await asyncio.gather(*map(storage.delete, paths[start : start + 64]))
