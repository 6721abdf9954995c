"""What is run: a manifest into a dataset, a prompt into a picture, a dataset into an export or a page.

Each flow has an async twin, with an `a` first.
"""

from prefect_trinetra.flows.dataset import agenerate_dataset, generate_dataset
from prefect_trinetra.flows.export import aexport_dataset, export_dataset
from prefect_trinetra.flows.gallery import amake_gallery, make_gallery
from prefect_trinetra.flows.image import agenerate_image, generate_image

__all__ = [
    "aexport_dataset",
    "agenerate_dataset",
    "agenerate_image",
    "amake_gallery",
    "export_dataset",
    "generate_dataset",
    "generate_image",
    "make_gallery",
]
