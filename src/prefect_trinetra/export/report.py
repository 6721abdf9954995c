"""What an export holds, and what it left out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ExportReport", "ExportedFile", "SplitTotals"]


class ExportedFile(BaseModel):
    """A file of images: a shard, or the part of an image folder that was written together (it has no digest)."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(description="Relative to the export's folder.")
    split: str
    images: int
    bytes: int = Field(description="Size of the file; of an image folder's part, that of its images.")
    sha256: str | None = None
    unreadable: dict[str, str] = Field(
        default_factory=dict, description="Images that are not in it though they should be: file name and reason."
    )


class SplitTotals(BaseModel):
    """One split of an export."""

    model_config = ConfigDict(frozen=True)

    images: int
    files: int
    bytes: int


class ExportReport(BaseModel):
    """The end of an export. It is kept in the export's folder as export.json."""

    model_config = ConfigDict(frozen=True)

    export_url: str = Field(description="The export's folder.")
    dataset_url: str = Field(description="The dataset that it was made from.")
    format: str = Field(description="webdataset, parquet or imagefolder.")
    fingerprint: str = Field(description="Tells apart what was exported and how: equal ones have equal files.")
    labels: dict[str, str] = Field(default_factory=dict, description="What the papers say that the files do not tell.")
    images: int = Field(0, description="Images in it.")
    bytes: int = Field(0, description="Bytes of its files.")
    splits: dict[str, SplitTotals] = Field(default_factory=dict)
    left_out: dict[str, int] = Field(
        default_factory=dict, description="Images that were to be left out, by suspect, duplicate or where."
    )
    unreadable: dict[str, str] = Field(
        default_factory=dict, description="Images that are missing or damaged in the dataset: file name and reason."
    )
    papers: list[str] = Field(default_factory=list, description="The card and, where it could be made, Croissant.")
    files: list[ExportedFile] = Field(default_factory=list)
    hub_url: str | None = Field(None, description="The repository on the Hugging Face Hub, if it was pushed.")
    kept: int = Field(0, description="Files that an earlier, broken-off export had written.")
    seconds: float = Field(0.0, description="Wall time.")
    is_complete: bool = Field(False, description="Whether all files are there.")
