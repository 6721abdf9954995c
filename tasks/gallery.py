"""The page that shows a dataset, written beside it."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from prefect_trinetra.blocks.storage import StorageBlock, resolve
from prefect_trinetra.gallery import writing
from prefect_trinetra.gallery.writing import GalleryReport
from prefect_trinetra.loop import io_loop
from prefect_trinetra.storage import Storage

__all__ = ["write_gallery"]


# Neither cached nor persisted: the dataset may have changed, and a gallery that is there makes another one cheap.
@task(name="write_gallery", cache_policy=NO_CACHE, persist_result=False)
def write_gallery(dataset: str, storage: StorageBlock | None = None) -> GalleryReport:
    """Writes gallery/index.html into a dataset's folder, as of now; thumbnails that are there are not made again.

    Needs no account. Raises DatasetError where there is no dataset, or no row in it yet, and StorageError.
    """
    place = Storage.open(*resolve(storage, dataset))
    report = io_loop().run(writing.write_gallery(place))
    get_run_logger().info("%d images are shown at %s", report.images, report.page_url)
    return report
