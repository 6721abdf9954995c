"""Whose account a command works on: a Prefect block's, else the environment's."""

from __future__ import annotations

from rich.text import Text

from prefect_trinetra.cli.options import Whose
from prefect_trinetra.settings import DEFAULT_BASE_URL, Account, TrinetraSettings

__all__ = ["account_if_any", "account_to_charge", "origin_note"]


def account_if_any(whose: Whose, settings: TrinetraSettings) -> Account | None:
    """The account, or None where none is set up: a plan needs none. Raises ConfigurationError."""
    if whose.credentials is None and settings.api_key is None:
        return None
    return account_to_charge(whose, settings)


def account_to_charge(whose: Whose, settings: TrinetraSettings) -> Account:
    """Raises ConfigurationError where there is no key, or no such block."""
    if whose.credentials is None:
        return settings.account()
    from prefect_trinetra.cli.stored_blocks import load_account

    return load_account(whose.credentials)


def origin_note(account: Account) -> Text | None:
    """A word about a base URL that is not the provider's own; to be said before the first request."""
    if account.base_url == DEFAULT_BASE_URL:
        return None
    return Text.assemble(("ordering from ", ""), (account.base_url, "bold"), ", not the provider's own address")
