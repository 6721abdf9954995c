"""Credentials become an account when they are used, and are checked then."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from prefect_trinetra.blocks.credentials import TrinetraCredentials, account_of
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.sandbox.process import SandboxHandle


def test_an_account_has_all_that_the_block_has() -> None:
    """Key and address travel together."""
    block = TrinetraCredentials(
        api_key=SecretStr("k"),
        base_url="https://api.example.org/",
        account_label="lab",
        credits_per_image={"low": 2},
        webhooks=True,
    )
    account = block.account()
    assert account.api_key.get_secret_value() == "k"
    assert (account.base_url, account.label, account.credits_per_image, account.webhooks) == (
        "https://api.example.org",
        "lab",
        {"low": 2},
        True,
    )


def test_a_masked_key_is_refused() -> None:
    """Prefect sends asterisks where a block is passed by value to a deployment: the message says how to pass it."""
    with pytest.raises(ConfigurationError, match=r"\$ref"):
        TrinetraCredentials(api_key=SecretStr("*" * 10)).account()


def test_without_a_block_the_environment_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and address are both the environment's."""
    monkeypatch.setenv("TRINETRA_API_KEY", "from-environment")
    monkeypatch.setenv("TRINETRA_BASE_URL", "http://127.0.0.1:9")
    account = account_of(None)
    assert (account.api_key.get_secret_value(), account.base_url) == ("from-environment", "http://127.0.0.1:9")


def test_a_block_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """And takes nothing from it: a key goes to no other source's address."""
    monkeypatch.setenv("TRINETRA_BASE_URL", "http://127.0.0.1:9")
    assert account_of(TrinetraCredentials(api_key=SecretStr("k"))).base_url.startswith("https://")


async def test_a_client_is_fresh_and_the_callers(shop: SandboxHandle) -> None:
    """It belongs to the event loop that it is used in."""
    block = TrinetraCredentials(api_key=SecretStr(shop.api_key), base_url=shop.url)
    async with block.get_client() as client, block.get_client() as other:
        assert client is not other
        assert client.account.base_url == shop.url
