"""Prompts become images, images an export, and the export trains a model: one Prefect flow, each step restartable.

    prefect-trinetra sandbox                      # in another terminal; export the two variables that it says
    python examples/nightly_training.py examples/prompts.csv /tmp/training

Run again it costs nothing: images that are there are not bought, an export that is up to date is not written, and the
training alone is done anew. The model is softmax regression on tiny pictures, in numpy: put your own in its place.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from PIL import Image
from prefect import flow, get_run_logger
from prefect.assets import materialize
from prefect.tasks import MaterializingTask

from prefect_trinetra import TrinetraCredentials, export_dataset, generate_dataset
from prefect_trinetra.tasks import dataset_asset

Floats = npt.NDArray[np.float64]

EDGE: Final = 16
STEPS: Final = 1_000
LEARNING_RATE: Final = 2.0


@flow(name="nightly-training")
def nightly_training(
    manifest: str,
    folder: str,
    label: str = "category",
    credentials: TrinetraCredentials | None = None,
    tolerated_failures: float = 0.2,
) -> float:
    """
    Makes or completes a dataset, exports it, and trains a classifier on it.

    Args:
        manifest: File of rows with a prompt and a label.
        folder: Where dataset, export and model go: a local folder.
        label: Column that is to be told from the picture.
        credentials: Account that pays; else TRINETRA_API_KEY and TRINETRA_BASE_URL of the environment count.
        tolerated_failures: Share of rows, 0 to 1, without which the model is trained all the same.

    Returns:
        The share of training pictures that the model tells right.
    """
    dataset = f"{folder}/dataset"
    generate_dataset(manifest, dataset, credentials, tolerated_failures=tolerated_failures)
    export = export_dataset(dataset, f"{folder}/export", format="parquet", overwrite=True)
    return trained_on(dataset, f"{folder}/model.npz")(export.export_url, f"{folder}/model.npz", label)


def trained_on(dataset: str, model: str) -> MaterializingTask[[str, str, str], float]:
    """The training task, which Prefect records as: this model comes from that dataset."""
    return materialize(f"file://{Path(model).absolute()}", asset_deps=[dataset_asset(dataset)], name="train")(train)


def train(export: str, model: str, label: str) -> float:
    """Fits the classifier, stores its weights, and returns the share of pictures that it tells right."""
    examples = list(labelled_pictures(Path(export), label))
    names = sorted({name for _, name in examples})
    pixels = np.stack([picture for picture, _ in examples])
    middle = pixels.mean(axis=0)
    pixels -= middle
    # With nothing longer than 1 each step goes downhill.
    scale = np.linalg.norm(pixels, axis=1).max() or 1.0
    pixels /= scale
    wanted = np.eye(len(names))[[names.index(name) for _, name in examples]]
    weights = np.zeros((pixels.shape[1], len(names)))
    for _ in range(STEPS):
        weights -= LEARNING_RATE * pixels.T @ (softmax(pixels @ weights) - wanted) / len(pixels)
    right = float((softmax(pixels @ weights).argmax(axis=1) == wanted.argmax(axis=1)).mean())
    np.savez(model, weights=weights, names=names, middle=middle, scale=scale)
    get_run_logger().info(
        "trained on %d pictures of %d kinds: %.0f %% told right", len(pixels), len(names), 100 * right
    )
    return right


def labelled_pictures(export: Path, label: str) -> Iterator[tuple[Floats, str]]:
    """Each picture of the export, tiny and flat, and its label."""
    for file in sorted(export.rglob("*.parquet")):
        for row in pq.read_table(file, columns=["image", label]).to_pylist():
            with Image.open(io.BytesIO(row["image"]["bytes"])) as image:
                tiny = np.asarray(image.convert("RGB").resize((EDGE, EDGE)), dtype=np.float64)
            yield tiny.ravel(), str(row[label])


def softmax(scores: Floats) -> Floats:
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = grown / grown.sum(axis=1, keepdims=True)
    return shares


if __name__ == "__main__":
    manifest, folder = sys.argv[1:]
    print(f"{nightly_training(manifest, folder):.0%} of the pictures are told right")
