"""What a user asks of an export, in the words that the flow and the command line share."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.export.splits import Splits

__all__ = ["LEFT_OUT", "MAX_SHARD_BYTES", "NEEDED_COLUMNS", "ExportFormat", "ExportSpec"]

# Decimal, as file sizes are shown. The Hub asks for files well below its own limits, and a lost one is soon made anew.
MAX_SHARD_BYTES: Final = 500_000_000
MIN_SHARD_BYTES: Final = 1_000_000
# What can be left out by a word, and the column that tells of it where it is not null.
LEFT_OUT: Final[Mapping[str, str]] = {"suspect": "suspect", "duplicate": "near_duplicate_of"}
# Without them nobody can say which image a row is of, and whether it is whole.
NEEDED_COLUMNS: Final = frozenset({"file_name", "key", "bytes", "sha256", "format"})


class ExportFormat(StrEnum):
    """The shape of an export."""

    WEBDATASET = "webdataset"
    PARQUET = "parquet"
    IMAGEFOLDER = "imagefolder"


@dataclass(frozen=True)
class ExportSpec:
    """One export as asked for: which dataset goes where, in which shape, and which of its images.

    `dataset` and `to` are fsspec URLs or paths; the `..._options` are fsspec storage options and may hold secrets, so
    they are not shown. `where` maps columns to the values (as text) of which one must be met, each column. `without`
    leaves out images by the words of LEFT_OUT. `drop` names columns that are not to be exported. `licence` is an
    identifier of SPDX or of the Hub's list. `push_to_hub` names a dataset repository (`owner/name`) of the Hugging Face
    Hub that the export is uploaded to as well, `private` unless it is there already. Sizes are in bytes.
    """

    dataset: str
    to: str
    format: ExportFormat = ExportFormat.WEBDATASET
    splits: Splits = field(default_factory=Splits)
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    max_shard_bytes: int = MAX_SHARD_BYTES
    overwrite: bool = False
    name: str | None = None
    licence: str | None = None
    push_to_hub: str | None = None
    private: bool = True
    dataset_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    to_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.to.strip():
            raise ConfigurationError("the export has no folder: say where it is to go")
        if wrong := sorted(self.without - LEFT_OUT.keys()):
            raise ConfigurationError(f"without names {', '.join(wrong)}: choose from {', '.join(LEFT_OUT)}")
        if not MIN_SHARD_BYTES <= self.max_shard_bytes <= MAX_SHARD_BYTES:
            raise ConfigurationError(
                f"max_shard_bytes is {self.max_shard_bytes:,}: give {MIN_SHARD_BYTES:,} to {MAX_SHARD_BYTES:,} bytes"
            )
        if kept := sorted(self.drop & NEEDED_COLUMNS):
            raise ConfigurationError(f"drop names {', '.join(kept)}: it tells which image a row is of, so it stays")

    @property
    def shown_name(self) -> str:
        """What the export is called in its card: its own name, else that of the dataset's folder."""
        return self.name or (self.push_to_hub or self.dataset).rstrip("/").rpartition("/")[2] or "dataset"

    @property
    def labels(self) -> dict[str, str]:
        """What the card says that is no part of the files."""
        said = {"name": self.shown_name, "licence": self.licence, "push_to_hub": self.push_to_hub}
        return {name: value for name, value in said.items() if value is not None}

    def fingerprint(self, metadata_sha256: str) -> str:
        """Equal for two exports that write the same files."""
        said = {
            "layout": 1,
            "metadata": metadata_sha256,
            "format": self.format,
            "splits": repr(self.splits),
            "where": {name: sorted(values) for name, values in self.where.items()},
            "without": sorted(self.without),
            "drop": sorted(self.drop),
            "max_shard_bytes": self.max_shard_bytes,
        }
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()
