"""What the flow's parameters ask for, with blocks turned into addresses and options."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from prefect_trinetra.blocks.storage import StorageBlock
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.flows.schedule import located, scheduled
from prefect_trinetra.reasons import RetryWord, retry_words
from prefect_trinetra.spec import ManifestSource, RunSpec

__all__ = ["dataset_spec"]


def dataset_spec(
    *,
    manifest: ManifestSource,
    dataset: str,
    storage: StorageBlock | None = None,
    manifest_storage: StorageBlock | None = None,
    retry: Iterable[str] = ("failed",),
    sample_base: int | str = 0,
    **rest: Any,
) -> RunSpec:
    """The run that is asked for; `rest` are fields of RunSpec. Raises ConfigurationError."""
    source, manifest_options = _located(manifest, manifest_storage)
    url, options = located(storage, dataset)
    return RunSpec(
        manifest=source,
        dataset=url,
        sample_base=_sample_base(sample_base),
        retry=_retry(retry),
        storage_options=options,
        manifest_options=manifest_options,
        **rest,
    )


def _retry(words: Iterable[str]) -> frozenset[RetryWord]:
    try:
        return retry_words(words)
    except ValueError as error:
        raise ConfigurationError(f"retry names {error}") from error


def _sample_base(written: int | str) -> int:
    number = scheduled(str(written)).strip()
    if not (number.isascii() and number.isdigit()):
        raise ConfigurationError(f"sample_base is {number!r}: give a number, such as 1000 or {{scheduled:%Y%m%d}}00")
    return int(number)


def _located(manifest: ManifestSource, storage: StorageBlock | None) -> tuple[ManifestSource, dict[str, Any]]:
    if isinstance(manifest, str):
        return located(storage, manifest)
    if not all(isinstance(entry, str) for entry in manifest):
        return manifest, {}
    places = [located(storage, name) for name in cast("list[str]", manifest)]
    options = [found for _, found in places]
    if any(found != options[0] for found in options):
        raise ConfigurationError("the manifest's files lie in different places: one storage has to open them all")
    return [url for url, _ in places], options[0] if options else {}
