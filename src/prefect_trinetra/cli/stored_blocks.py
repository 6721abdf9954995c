"""Blocks that a Prefect server keeps, by their name. The one module that imports Prefect for a run without a flow."""

from __future__ import annotations

from typing import cast

from prefect.blocks.core import Block

from prefect_trinetra.blocks.credentials import TrinetraCredentials
from prefect_trinetra.blocks.storage import DatasetStorage, StorageBlock, resolve
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.settings import Account

__all__ = ["load_account", "resolve_stored"]


def load_account(name: str) -> Account:
    """The account in a credentials block. Raises ConfigurationError where there is no such block."""
    block = _load(name, TrinetraCredentials)
    if not isinstance(block, TrinetraCredentials):
        raise ConfigurationError(f"the block {name} holds no credentials: name a trinetra-credentials block")
    return block.account()


def resolve_stored(name: str, folder: str) -> tuple[str, dict[str, object]]:
    """Where `folder` lies in a storage block, and the options that open it. Raises ConfigurationError."""
    block = _load(name, DatasetStorage)
    if not isinstance(block, StorageBlock):
        raise ConfigurationError(f"the block {name} is no storage: name a dataset-storage or file-system block")
    return resolve(block, folder)


def _load(name: str, kind: type[Block]) -> Block:
    # Without a type it is ours: prod means trinetra-credentials/prod.
    slug = name if "/" in name else f"{kind.get_block_type_slug()}/{name}"
    try:
        return cast("Block", Block.load(slug))
    except ValueError as error:
        raise ConfigurationError(f"Prefect has no block {slug}: see `prefect block ls`") from error
