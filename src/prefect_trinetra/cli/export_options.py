"""The flags of `export`, in the words of the flow's parameters, and the export that they ask for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

from cyclopts import Group, Parameter

from prefect_trinetra.cli.options import PLACES, flag, parse_options, repeatable
from prefect_trinetra.cli.places import place
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.export.spec import MAX_SHARD_BYTES, ExportFormat, ExportSpec
from prefect_trinetra.export.splits import Splits

__all__ = ["ExportOptions"]

SHAPE: Final = Group("Shape", sort_key=1)
IMAGES: Final = Group("Which images", sort_key=2)
PAPERS: Final = Group("Card and Hub", sort_key=3)
MEGABYTE: Final = 1_000_000


@Parameter(name="*")
@dataclass(frozen=True)
class ExportOptions:
    """Everything that an export can be told, besides from where and to where."""

    format: Annotated[ExportFormat, Parameter(group=SHAPE)] = ExportFormat.WEBDATASET
    """webdataset (tar files), parquet (with the images in it) or imagefolder (files and a table)."""
    splits: Annotated[tuple[str, ...], repeatable(SHAPE, "--split")] = ()
    """NAME=SHARE, such as train=0.9 and test=0.1: told by a stable hash of the key. Repeatable."""
    split_by: Annotated[str | None, Parameter(group=SHAPE)] = None
    """A column whose values are the splits."""
    split_of: Annotated[str, Parameter(group=SHAPE)] = "key"
    """The column whose hash decides with --split; prompt keeps all samples of a prompt together."""
    max_shard_megabytes: Annotated[int, Parameter(group=SHAPE)] = MAX_SHARD_BYTES // MEGABYTE
    """The most that a file holds."""
    where: Annotated[tuple[str, ...], repeatable(IMAGES)] = ()
    """COLUMN=VALUE that an image's row must have; given twice for one column, either. Repeatable."""
    without: Annotated[tuple[str, ...], repeatable(IMAGES)] = ()
    """suspect, duplicate, or both with a comma: leaves such images out."""
    drop: Annotated[tuple[str, ...], repeatable(IMAGES)] = ()
    """Columns not to export, such as user,job_id."""
    name: Annotated[str | None, Parameter(group=PAPERS)] = None
    """What the card calls it; the dataset's folder unless said otherwise."""
    licence: Annotated[str | None, Parameter(group=PAPERS, name=("--licence", "--license"))] = None
    """Its SPDX identifier, such as CC0-1.0."""
    push_to_hub: Annotated[str | None, Parameter(group=PAPERS)] = None
    """OWNER/NAME of a dataset on the Hugging Face Hub to upload it to as well; HF_TOKEN says who you are."""
    public: Annotated[bool, flag(PAPERS)] = False
    """Make a new repository there public; private otherwise."""
    overwrite: Annotated[bool, flag(PLACES)] = False
    """Replace another export in that folder."""
    storage: Annotated[str | None, Parameter(group=PLACES)] = None
    """A storage block by its name (or TYPE/NAME); DATASET is then a folder in it."""
    to_storage: Annotated[str | None, Parameter(group=PLACES)] = None
    """The same for TO."""
    storage_option: Annotated[tuple[str, ...], repeatable(PLACES)] = ()
    """KEY=VALUE for the dataset's file system (fsspec). Repeatable."""
    to_option: Annotated[tuple[str, ...], repeatable(PLACES)] = ()
    """The same for TO's."""

    def spec(self, dataset: str, to: str) -> ExportSpec:
        """The export that is asked for. Raises ConfigurationError."""
        source = place(dataset, self.storage, parse_options(self.storage_option))
        goal = place(to, self.to_storage, parse_options(self.to_option, "--to-option"))
        return ExportSpec(
            dataset=source.url,
            to=goal.url,
            format=self.format,
            splits=Splits(_shares(self.splits), self.split_by, self.split_of),
            where=_where(self.where),
            without=frozenset(_words(self.without)),
            drop=frozenset(_words(self.drop)),
            max_shard_bytes=self.max_shard_megabytes * MEGABYTE,
            overwrite=self.overwrite,
            name=self.name,
            licence=self.licence,
            push_to_hub=self.push_to_hub,
            private=not self.public,
            dataset_options=source.options,
            to_options=goal.options,
        )


def _shares(written: Iterable[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for word in written:
        name, _, share = word.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError as error:
            raise ConfigurationError(f"--split {word}: write it as --split train=0.9") from error
    return shares


def _where(written: Iterable[str]) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = {}
    for word in written:
        name, separator, value = word.partition("=")
        if not separator or not name.strip():
            raise ConfigurationError(f"--where {word}: write it as --where label=sea")
        asked.setdefault(name.strip(), []).append(value)
    return asked


def _words(written: Iterable[str]) -> list[str]:
    return [word.strip() for text in written for word in text.split(",") if word.strip()]
