"""Turn a file of prompts into a dataset of images with Prefect: nothing bought twice, nothing bought lost.

The names below are loaded when they are first used: importing the package itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from prefect_trinetra.blocks.credentials import TrinetraCredentials
    from prefect_trinetra.blocks.storage import DatasetStorage
    from prefect_trinetra.client import TrinetraClient
    from prefect_trinetra.errors import TooManyFailures, TrinetraError
    from prefect_trinetra.export.report import ExportReport
    from prefect_trinetra.export.spec import ExportFormat, ExportSpec
    from prefect_trinetra.export.splits import Splits
    from prefect_trinetra.flows.dataset import agenerate_dataset, generate_dataset
    from prefect_trinetra.flows.export import aexport_dataset, export_dataset
    from prefect_trinetra.flows.gallery import amake_gallery, make_gallery
    from prefect_trinetra.flows.image import agenerate_image, generate_image
    from prefect_trinetra.gallery.writing import GalleryReport
    from prefect_trinetra.outcomes import Outcome
    from prefect_trinetra.outputs import StoredImage
    from prefect_trinetra.report import DatasetReport
    from prefect_trinetra.request import ImageParameters, ImageRequest
    from prefect_trinetra.settings import TrinetraSettings
    from prefect_trinetra.spec import RunLimits
    from prefect_trinetra.tasks.dataset import write_manifest
    from prefect_trinetra.tasks.download import adownload_images, download_images
    from prefect_trinetra.tasks.gallery import write_gallery
    from prefect_trinetra.tasks.jobs import Job
    from prefect_trinetra.tasks.poll import apoll_job, poll_job
    from prefect_trinetra.tasks.records import read_records
    from prefect_trinetra.tasks.submit import asubmit_job, submit_job

__all__ = [
    "DatasetReport",
    "DatasetStorage",
    "ExportFormat",
    "ExportReport",
    "ExportSpec",
    "GalleryReport",
    "ImageParameters",
    "ImageRequest",
    "Job",
    "Outcome",
    "RunLimits",
    "Splits",
    "StoredImage",
    "TooManyFailures",
    "TrinetraClient",
    "TrinetraCredentials",
    "TrinetraError",
    "TrinetraSettings",
    "adownload_images",
    "aexport_dataset",
    "agenerate_dataset",
    "agenerate_image",
    "amake_gallery",
    "apoll_job",
    "asubmit_job",
    "download_images",
    "export_dataset",
    "generate_dataset",
    "generate_image",
    "make_gallery",
    "poll_job",
    "read_records",
    "submit_job",
    "write_gallery",
    "write_manifest",
]

_HOMES: Final = {
    "DatasetReport": "report",
    "DatasetStorage": "blocks.storage",
    "ExportFormat": "export.spec",
    "ExportReport": "export.report",
    "ExportSpec": "export.spec",
    "GalleryReport": "gallery.writing",
    "ImageParameters": "request",
    "ImageRequest": "request",
    "Job": "tasks.jobs",
    "Outcome": "outcomes",
    "RunLimits": "spec",
    "Splits": "export.splits",
    "StoredImage": "outputs",
    "TooManyFailures": "errors",
    "TrinetraClient": "client",
    "TrinetraCredentials": "blocks.credentials",
    "TrinetraError": "errors",
    "TrinetraSettings": "settings",
    "adownload_images": "tasks.download",
    "aexport_dataset": "flows.export",
    "agenerate_dataset": "flows.dataset",
    "agenerate_image": "flows.image",
    "amake_gallery": "flows.gallery",
    "apoll_job": "tasks.poll",
    "asubmit_job": "tasks.submit",
    "download_images": "tasks.download",
    "export_dataset": "flows.export",
    "generate_dataset": "flows.dataset",
    "generate_image": "flows.image",
    "make_gallery": "flows.gallery",
    "poll_job": "tasks.poll",
    "read_records": "tasks.records",
    "submit_job": "tasks.submit",
    "write_gallery": "tasks.gallery",
    "write_manifest": "tasks.dataset",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"prefect_trinetra has no {name}")
    return getattr(import_module(f"prefect_trinetra.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
