"""A dataset as an asset of Prefect: what a run has made of it, for flows that depend on it."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from prefect.assets import Asset, AssetProperties
from prefect.types.names import MAX_ASSET_KEY_LENGTH, RESTRICTED_ASSET_CHARACTERS

from prefect_trinetra.blocks.storage import StorageBlock, resolve
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.storage import Storage

__all__ = ["asset_key", "asset_of", "dataset_asset", "materialized"]

# Tells apart keys of which something had to be left out.
DIGEST_CHARACTERS: Final = 8
DESCRIPTION: Final = "Images and their table (metadata.parquet), made from a manifest of prompts by prefect-trinetra."
_RESTRICTED: Final = re.compile(f"[{re.escape(''.join(RESTRICTED_ASSET_CHARACTERS))}]")


def dataset_asset(dataset: str, storage: StorageBlock | None = None) -> Asset:
    """The asset that stands for a dataset: name it in `asset_deps` of what is made from it.

    Its key is the dataset's address, such as s3://bucket/cats. Raises ConfigurationError.
    """
    return asset_of(Storage.open(*resolve(storage, dataset)).url)


def asset_of(dataset_url: str) -> Asset:
    """The asset of the dataset at an address as a report shows it."""
    name = dataset_url.rstrip("/").rpartition("/")[2]
    return Asset(key=asset_key(dataset_url), properties=AssetProperties(name=name, description=DESCRIPTION))


def asset_key(url: str) -> str:
    """The address as Prefect takes it for a key: with a scheme, and without spaces and the like."""
    whole = url if "://" in url else f"file://{url}"
    key = _RESTRICTED.sub("-", whole)
    if key == whole and len(key) <= MAX_ASSET_KEY_LENGTH:
        return key
    digest = hashlib.sha256(whole.encode()).hexdigest()[:DIGEST_CHARACTERS]
    return f"{key[: MAX_ASSET_KEY_LENGTH - DIGEST_CHARACTERS - 1]}-{digest}"


def materialized(report: DatasetReport) -> dict[str, Any]:
    """What the asset's event tells of a run: small, and plain enough for a condition of an automation."""
    return {
        "dataset_url": report.dataset_url,
        "metadata_url": report.metadata_url,
        "run_id": report.run_id,
        "rows": report.rows,
        "images": report.images,
        "images_made": report.images_made,
        "usable_images": report.usable,
        "credits_charged": report.credits_charged,
        "credits_at_most": report.credits_at_most,
        "is_complete": report.is_complete,
        "outcomes": {outcome: count for outcome, count in report.outcomes.items() if count},
    }
