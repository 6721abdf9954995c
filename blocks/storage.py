"""Where datasets and manifests live, as a Prefect block; Prefect's own file-system blocks serve as well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec
from prefect.blocks.core import Block
from prefect.filesystems import LocalFileSystem, RemoteFileSystem
from prefect.types import SecretDict
from pydantic import Field, HttpUrl

from prefect_trinetra.backends import backend
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.links import links
from prefect_trinetra.storage_address import Address
from prefect_trinetra.whole import Whole

__all__ = ["DatasetStorage", "StorageBlock", "resolve"]


class DatasetStorage(Whole, Block):
    """
    A folder on any storage that fsspec knows, with the keys that open it. Datasets are named relative to it.

    Example:
        Load a stored place and use it in a flow run:
        ```python
        from prefect_trinetra.blocks import DatasetStorage
        from prefect_trinetra.flows import generate_dataset

        storage = DatasetStorage.load("BLOCK_NAME")
        generate_dataset("prompts.csv", "cats", storage=storage, max_credits=100)
        ```
    """

    _block_type_name = "Dataset Storage"
    _block_type_slug = "dataset-storage"
    # The picture of Prefect's own file-system blocks.
    _logo_url = HttpUrl(
        "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos/filesystem.png"
    )
    # What the options are called, for each kind of storage.
    _documentation_url = HttpUrl("https://filesystem-spec.readthedocs.io/en/latest/api.html")

    root: str = Field(
        default=...,
        title="Root",
        description="The folder that names are relative to: a path, or a URL such as s3://bucket/folder.",
    )
    options: SecretDict = Field(
        default_factory=lambda: SecretDict({}),
        title="Options",
        description="Options of the file system (fsspec's storage options), such as key, secret and client_kwargs.",
    )

    def resolve(self, name: str) -> tuple[str, dict[str, Any]]:
        """The address of `name` and the options that open it: below the root, or an address of its own.

        Raises ConfigurationError for a name that leads out of the root, and for options that Prefect has masked.
        """
        return _resolve(self.root, self.options.get_secret_value(), name)

    def get_filesystem(self) -> fsspec.AbstractFileSystem:
        """The file system of the root. Raises ConfigurationError where it can't be opened."""
        _, options = self.resolve(self.root)
        return Address.parse(self.root, options).filesystem()


StorageBlock = DatasetStorage | RemoteFileSystem | LocalFileSystem


def resolve(storage: StorageBlock | None, name: str) -> tuple[str, dict[str, Any]]:
    """The address of `name` and its options in whatever holds it; without a storage the name itself.

    Raises ConfigurationError.
    """
    match storage:
        case None:
            return name, {}
        case DatasetStorage():
            return storage.resolve(name)
        case RemoteFileSystem():
            return _resolve(storage.basepath, storage.settings, name)
        case LocalFileSystem():
            return _resolve(storage.basepath or ".", {}, name)


def _resolve(root: str, options: Mapping[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    if any(isinstance(value, str) and value and not value.strip("*") for value in options.values()):
        raise ConfigurationError(
            "the storage options are only asterisks: a block was passed by value to a deployment, which masks its "
            'secrets. Pass it by reference: {"$ref": {"block_document_slug": "dataset-storage/NAME"}}'
        )
    if not name.strip():
        raise ConfigurationError("a name in a storage is empty: give one such as cats or prompts/cats.csv")
    # A path is made whole: who resolves the address again, maybe in another folder, gets the same one.
    root = root if "://" in root else str(Path(root).expanduser().absolute())
    if "://" in name or name.startswith("/"):
        return name, _options_for(name, root, options)
    if ".." in name.split("/"):
        raise ConfigurationError(f"{name} leads out of its storage: give a name below its root, or a whole address")
    return f"{root.rstrip('/')}/{name.removeprefix('./')}", dict(options)


def _options_for(url: str, root: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `root` as `url` takes them; none where it lies elsewhere."""
    if not _is_same_place(root, url):
        return {}
    if "::" in url and "::" not in root:
        return {links(url)[-1].protocol: dict(options)}
    return dict(options)


def _is_same_place(root: str, url: str) -> bool:
    """Whether the keys of `root` may be sent to where `url` points."""
    own, other = (links(each)[-1] for each in (root, url))
    row = backend(own.protocol)
    if other.protocol not in {own.protocol, *row.protocols}:
        return False
    mine, theirs = (urlsplit(link.url).netloc.rpartition("@") for link in (own, other))
    if row.has_account_options:
        # Of an address that names its account, what stands behind the @.
        return not row.names_account or (mine[2] if mine[1] else "") == (theirs[2] if theirs[1] else "")
    return mine[2] == theirs[2]
