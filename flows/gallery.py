"""A dataset becomes a page."""

# Without `from __future__ import annotations`: see flows/dataset.py.

from typing import Final

from prefect import flow

from prefect_trinetra.blocks.storage import StorageBlock
from prefect_trinetra.flows.forms import titled
from prefect_trinetra.flows.schedule import dataset_label, scheduled
from prefect_trinetra.flows.twins import async_twin
from prefect_trinetra.gallery.writing import GalleryReport
from prefect_trinetra.tasks.artifacts import show_gallery
from prefect_trinetra.tasks.gallery import write_gallery

__all__ = ["amake_gallery", "make_gallery"]

FLOW_NAME: Final = "make-gallery"


def _run_name() -> str:
    return f"gallery of {dataset_label()}"


@flow(name=FLOW_NAME, flow_run_name=_run_name)
@titled
def make_gallery(dataset: str, storage: StorageBlock | None = None) -> GalleryReport:
    """
    Writes a page that shows a dataset into its folder, for any browser, without a server.

    It needs no account and costs nothing. While a run is under way the page shows how far it is. Thumbnails are made
    once: the next time only those of new images are.

    Args:
        dataset: Folder of the dataset: a path, a URL such as s3://bucket/cats, or a name in the storage.
            {scheduled:%Y-%m-%d} in it is the day of the run.
        storage: Block that holds the dataset, and the keys to open it.

    Returns:
        Where the page is, and what it shows.

    Raises:
        ConfigurationError: The storage block is wrong.
        DatasetError: There is no dataset at that address, or no row in it yet.
        StorageError: The dataset's storage can't be used.
    """
    dataset = scheduled(dataset)
    report = write_gallery(dataset, storage)
    show_gallery(dataset, report)
    return report


amake_gallery = flow(name=FLOW_NAME, flow_run_name=_run_name)(async_twin(make_gallery.fn))
