"""A dataset becomes an export, in the shape that training code loads."""

# Without `from __future__ import annotations`: see flows/dataset.py.

from typing import Annotated, Final, Literal, cast

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import Field

from prefect_trinetra.blocks.storage import StorageBlock
from prefect_trinetra.export.report import ExportReport
from prefect_trinetra.export.spec import MAX_SHARD_BYTES, ExportFormat, ExportSpec
from prefect_trinetra.export.splits import Splits
from prefect_trinetra.flows.forms import titled
from prefect_trinetra.flows.schedule import dataset_label, located
from prefect_trinetra.flows.twins import async_twin
from prefect_trinetra.tasks.artifacts import show_export
from prefect_trinetra.tasks.export import export_dataset as export_task

__all__ = ["aexport_dataset", "export_dataset"]

FLOW_NAME: Final = "export-dataset"
MEGABYTE: Final = 1_000_000
ShardMegabytes = Annotated[int, Field(ge=1, le=MAX_SHARD_BYTES // MEGABYTE, title="Largest file (MB)")]


def _run_name() -> str:
    return f"export {dataset_label()} as {flow_run.get_parameters().get('format')}"


@flow(name=FLOW_NAME, flow_run_name=_run_name)
@titled
def export_dataset(  # noqa: PLR0913, PLR0917  # the form of the flow: the same words as the command line's flags
    dataset: str,
    to: Annotated[str, Field(title="Export to")],
    format: Literal["webdataset", "parquet", "imagefolder"] = "webdataset",  # noqa: A002  # the flag's word
    storage: StorageBlock | None = None,
    to_storage: StorageBlock | None = None,
    splits: dict[str, float] = {},  # noqa: B006  # only read
    split_by: str | None = None,
    split_of: str = "key",
    where: dict[str, list[str]] = {},  # noqa: B006  # only read
    without: frozenset[Literal["suspect", "duplicate"]] = frozenset(),
    drop: Annotated[frozenset[str], Field(title="Drop columns")] = frozenset(),
    max_shard_megabytes: ShardMegabytes = MAX_SHARD_BYTES // MEGABYTE,
    overwrite: bool = False,  # noqa: FBT001, FBT002  # a form's tick box; callers name it
    name: str | None = None,
    licence: str | None = None,
    push_to_hub: Annotated[str | None, Field(title="Push to the Hub")] = None,
    private: bool = True,  # noqa: FBT001, FBT002  # the same
) -> ExportReport:
    """
    Writes a dataset's images in the shape that training code loads, with Croissant metadata and a dataset card.

    Image files are carried over byte for byte. An export that broke off goes on where it ended, and one that is
    complete and up to date is left as it is.

    Args:
        dataset: Folder of the dataset: a path, a URL such as s3://bucket/cats, or a name in the storage.
            {scheduled:%Y-%m-%d} in it is the day of the run.
        to: Folder of the export, of the same kinds. It is empty, or holds an export.
        format: Tar files for WebDataset, Parquet files with the images in them, or a folder of image files.
        storage: Block that holds the dataset, and the keys to open it.
        to_storage: Block that the export goes to. Empty means the storage of the dataset.
        splits: Shares that add up to 1, such as train 0.9 and test 0.1, told by a stable hash. Empty means train alone.
        split_by: Column whose values are the splits, instead.
        split_of: Column whose hash decides: key, or prompt to keep all samples of a prompt together.
        where: Values, one of which a column must have, such as label: [sea, lake].
        without: Images to leave out: suspect ones, near-duplicates of earlier ones.
        drop: Columns not to export, such as user.
        max_shard_megabytes: Most that one file holds.
        overwrite: Replace another export in that folder.
        name: What the card calls it. Empty means the name of the dataset's folder.
        licence: SPDX identifier of the licence, such as CC0-1.0.
        push_to_hub: Dataset on the Hugging Face Hub, OWNER/NAME, to upload it to as well; HF_TOKEN says who you are.
        private: Make a new repository there private.

    Returns:
        The report, also stored in the export as export.json. Where images are missing or damaged in the dataset, the
        state is named for it.

    Raises:
        ConfigurationError: A parameter is wrong, there is nothing to export, or the folder holds something else.
        StorageError: The dataset's or the export's storage can't be used.
    """
    source, options = located(storage, dataset)
    goal, to_options = located(to_storage or storage, to)
    spec = ExportSpec(
        dataset=source,
        to=goal,
        format=ExportFormat(format),
        splits=Splits(splits, split_by, split_of),
        where=where,
        without=frozenset(without),
        drop=drop,
        max_shard_bytes=max_shard_megabytes * MEGABYTE,
        overwrite=overwrite,
        name=name,
        licence=licence,
        push_to_hub=push_to_hub,
        private=private,
        dataset_options=options,
        to_options=to_options,
    )
    report = export_task(spec)
    show_export(report)
    unreadable = f"LeftOut: {len(report.unreadable)} unreadable" if report.unreadable else "Completed"
    message = f"{report.images:,} images in {len(report.files):,} files: {report.export_url}"
    # Prefect hands the caller what is inside a state that a flow returns.
    return cast("ExportReport", Completed(name=unreadable, message=message, data=report))


aexport_dataset = flow(name=FLOW_NAME, flow_run_name=_run_name)(async_twin(export_dataset.fn))
