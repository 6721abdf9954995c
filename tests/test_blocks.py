"""Prefect's own suite for blocks, on each of ours."""

from __future__ import annotations

import pickle

import pytest
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.filesystems import RemoteFileSystem
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from prefect.types import SecretDict
from pydantic import SecretStr

from prefect_trinetra.blocks import DatasetStorage, TrinetraCredentials

# Named one by one: the discovery helper that other integrations copy finds nothing and passes.
BLOCKS: list[type[Block]] = [DatasetStorage, TrinetraCredentials]


@pytest.mark.parametrize("block", BLOCKS)
class TestOurBlocks(BlockStandardTestSuite):
    """Descriptions, documentation, example, picture."""

    @pytest.fixture
    def block(self, request: pytest.FixtureRequest) -> type[Block]:
        """The block under test."""
        block: type[Block] = request.param
        return block

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """The suite would fetch it; ours are pictures of Prefect's own blocks, which it holds to the same rule."""
        assert str(block._logo_url) in {str(Secret._logo_url), str(RemoteFileSystem._logo_url)}


def test_slugs_are_for_ever() -> None:
    """Stored blocks and deployments refer to them."""
    assert [block.get_block_type_slug() for block in BLOCKS] == ["dataset-storage", "trinetra-credentials"]


def test_secrets_are_marked_as_such() -> None:
    """Prefect's server encrypts and masks what the schema calls secret."""
    assert TrinetraCredentials.model_json_schema()["secret_fields"] == ["api_key"]
    assert DatasetStorage.model_json_schema()["secret_fields"] == ["options.*"]


@pytest.mark.parametrize(
    "block",
    [
        TrinetraCredentials(api_key=SecretStr("very-secret")),
        DatasetStorage(root="s3://b", options=SecretDict({"secret": "very-secret"})),
    ],
    ids=lambda block: type(block).__name__,
)
def test_a_block_shows_no_secret(block: Block) -> None:
    """Neither to people nor as JSON."""
    assert "very-secret" not in f"{block} {block!r} {block.model_dump_json()}"


@pytest.mark.parametrize(
    "block",
    [TrinetraCredentials(api_key=SecretStr("k")), DatasetStorage(root="data")],
    ids=lambda block: type(block).__name__,
)
def test_a_block_is_one_value(block: Block) -> None:
    """`.map` takes what can't be iterated over as the same for every call, so nothing is submitted per field."""
    with pytest.raises(TypeError, match="one value"):
        iter(block)
    # Prefect looks for futures in dict(model), and process pools pickle it.
    assert set(type(block).model_fields) <= set(dict(block))
    assert pickle.loads(pickle.dumps(block)) == block  # noqa: S301  # what this line itself wrote
