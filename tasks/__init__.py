"""What a flow is made of. Each of submit, poll and download comes as a pair: sync, and async with an `a` before it."""

from prefect_trinetra.tasks.assets import dataset_asset
from prefect_trinetra.tasks.dataset import plan_dataset, publish_dataset, write_manifest
from prefect_trinetra.tasks.download import adownload_images, download_images
from prefect_trinetra.tasks.export import export_dataset
from prefect_trinetra.tasks.gallery import write_gallery
from prefect_trinetra.tasks.jobs import Job
from prefect_trinetra.tasks.poll import apoll_job, poll_job
from prefect_trinetra.tasks.records import read_records
from prefect_trinetra.tasks.shard import generate_shard
from prefect_trinetra.tasks.submit import asubmit_job, submit_job

__all__ = [
    "Job",
    "adownload_images",
    "apoll_job",
    "asubmit_job",
    "dataset_asset",
    "download_images",
    "export_dataset",
    "generate_shard",
    "plan_dataset",
    "poll_job",
    "publish_dataset",
    "read_records",
    "submit_job",
    "write_gallery",
    "write_manifest",
]
