"""Blocks that go to another machine: by the name under which Prefect stores them, never with what they hold."""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

from prefect.blocks.core import Block
from prefect.client.orchestration import get_client

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.loop import io_loop

__all__ = ["BlockReference", "loaded", "reference"]

B = TypeVar("B", bound=Block)

# As Prefect writes it in the parameters of a run; a flow finds the block there, a task has to load it.
BlockReference = dict[str, dict[str, str]]
REF: Final = "$ref"


def reference(block: Block | None) -> BlockReference | None:
    """How a stored block is named to another machine. Raises ConfigurationError for one that was never saved."""
    if block is None:
        return None
    if block._block_document_id is None:  # noqa: SLF001  # Prefect has no other word for it
        kind = type(block).__name__
        raise ConfigurationError(
            f"this {kind} block is not saved, so it can't go to other machines without its secrets in clear: save it "
            f'once with .save("NAME") and pass {kind}.load("NAME"), or leave it out and let the workers\' own '
            "environment count. Nothing was sent."
        )
    return {REF: {"block_document_id": str(block._block_document_id)}}  # noqa: SLF001


def loaded(block: B | BlockReference | None) -> B | None:
    """The block that is meant. Raises ConfigurationError where it was deleted meanwhile."""
    if not isinstance(block, dict):
        return block
    return cast("B", io_loop().run(_load(block[REF])))


async def _load(ref: dict[str, str]) -> Any:
    async with get_client() as client:
        try:
            return await Block.aload_from_ref(ref, client=client)
        except ValueError as error:
            raise ConfigurationError(f"a block that this shard needs can't be loaded: {error}") from error
