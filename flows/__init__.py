"""What is run: a manifest into a dataset, a prompt into a picture, a dataset into a page.

Each flow has an async twin, with an `a` first.
"""

from prefect_trinetra.flows.dataset import agenerate_dataset, generate_dataset
from prefect_trinetra.flows.gallery import amake_gallery, make_gallery
from prefect_trinetra.flows.image import agenerate_image, generate_image

__all__ = [
    "agenerate_dataset",
    "agenerate_image",
    "amake_gallery",
    "generate_dataset",
    "generate_image",
    "make_gallery",
]
