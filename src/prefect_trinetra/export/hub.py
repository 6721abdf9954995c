"""The Hugging Face Hub: a finished export becomes a dataset repository there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from prefect_trinetra.errors import ConfigurationError, StorageError
from prefect_trinetra.export.target import CARD_FILE, DATA_FOLDER
from prefect_trinetra.loop import io_loop
from prefect_trinetra.storage import Storage

__all__ = ["check_hub", "push"]

# Of one commit: so many files the Hub takes well at a time, and so many bytes lie on this machine until it has them.
FILES_PER_COMMIT: Final = 500
BYTES_PER_COMMIT: Final = 2_000_000_000
NO_HUB: Final = "what uploads to the Hub is not installed: pip install 'prefect-trinetra[hub]'"


def check_hub(repository: str) -> None:
    """One clear ConfigurationError before anything is written, where nothing could be pushed."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
    except ImportError as error:
        raise ConfigurationError(NO_HUB) from error
    if repository.count("/") != 1:
        raise ConfigurationError(f"push_to_hub is {repository}: write it as OWNER/NAME")
    try:
        HfApi().whoami()
    except (LocalTokenNotFoundError, HfHubHTTPError, OSError) as error:
        raise ConfigurationError(
            f"push_to_hub {repository}: the Hub does not know who is asking ({_said(error)}); set HF_TOKEN to a token "
            "that may write, or log in with `hf auth login`"
        ) from error


def push(storage: Storage, repository: str, *, private: bool) -> str:
    """Uploads all files of an export to a dataset repository, made if need be, and returns its address.

    Data goes first and the card last; data files of an earlier push that this export has not are deleted. What the Hub
    has already is not sent again, so a push that broke off goes on. Raises ConfigurationError without huggingface_hub,
    StorageError where the Hub does not take it.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ConfigurationError(NO_HUB) from error
    api = HfApi()
    sizes = io_loop().run(storage.sizes())
    paths = sorted((path for path in sizes if not path.startswith(".")), key=_order)
    try:
        url = api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        there = api.list_repo_files(repository, repo_type="dataset")
        for number, part in enumerate(_parts(paths, sizes)):
            _commit(api, repository, storage, part, number)
        _delete(api, repository, sorted(path for path in there if _is_data(path) and path not in paths))
    except (HfHubHTTPError, OSError) as error:
        raise StorageError(
            f"uploading {storage.url} to the dataset {repository} failed ({_said(error)}): run the same export "
            "again to go on"
        ) from error
    return str(url)


def _order(path: str) -> tuple[bool, bool, str]:
    return (not _is_data(path), path == CARD_FILE, path)


def _is_data(path: str) -> bool:
    return path.startswith(f"{DATA_FOLDER}/")


def _parts(paths: Sequence[str], sizes: Mapping[str, int]) -> Iterator[Sequence[str]]:
    part: list[str] = []
    for path in paths:
        size = sum(sizes[each] for each in part)
        if part and (len(part) == FILES_PER_COMMIT or size + sizes[path] > BYTES_PER_COMMIT):
            yield part
            part = []
        part.append(path)
    if part:
        yield part


def _commit(api: Any, repository: str, storage: Storage, paths: Sequence[str], number: int) -> None:
    from huggingface_hub import CommitOperationAdd

    with tempfile.TemporaryDirectory(prefix="trinetra-") as folder:
        additions = []
        for path in paths:
            local = Path(folder) / path
            io_loop().run(storage.download(path, local))
            additions.append(CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(local)))
        message = "Upload images" if number == 0 else f"Upload images, part {number + 1}"
        api.create_commit(repository, additions, commit_message=message, repo_type="dataset")


def _delete(api: Any, repository: str, paths: Sequence[str]) -> None:
    from huggingface_hub import CommitOperationDelete

    if paths:
        deletions = [CommitOperationDelete(path_in_repo=path) for path in paths]
        api.create_commit(repository, deletions, commit_message="Delete images of before", repo_type="dataset")


def _said(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
