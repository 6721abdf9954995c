"""A Prefect server that has the package installed knows its blocks and keeps their secrets."""

from __future__ import annotations

import pytest
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.types import SecretDict
from pydantic import SecretStr

from prefect_trinetra.blocks import DatasetStorage, TrinetraCredentials

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


def test_the_server_registers_our_blocks_by_itself() -> None:
    """It loads the collection's entry point at its start: nobody types `prefect block register`."""
    with get_client(sync_client=True) as client:
        for block in (TrinetraCredentials, DatasetStorage):
            known = client.read_block_type_by_slug(block.get_block_type_slug())
            assert known.name == block._block_type_name


async def test_a_stored_block_comes_back_whole_and_is_shown_masked() -> None:
    """Loaded by name alone, too, as a deployment's `$ref` does."""
    secret = "very-secret"
    await TrinetraCredentials(api_key=SecretStr(secret), account_label="lab").asave("stored", overwrite=True)
    await DatasetStorage(root="s3://b", options=SecretDict({"secret": secret})).asave("stored", overwrite=True)
    loaded: Block = await Block.aload("trinetra-credentials/stored")
    assert isinstance(loaded, TrinetraCredentials)
    assert loaded.api_key.get_secret_value() == secret
    async with get_client() as client:
        for slug in ("trinetra-credentials", "dataset-storage"):
            document = await client.read_block_document_by_name("stored", slug, include_secrets=False)
            assert secret not in str(document.data)
