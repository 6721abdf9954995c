"""The secret part of the webhook's address: the only thing that tells the provider from anybody else."""

from __future__ import annotations

import re
from hmac import compare_digest
from typing import Final

from pydantic import SecretStr

from prefect_trinetra.errors import ConfigurationError

__all__ = ["SecretToken"]

HOW_TO: Final = (
    'set TRINETRA_WEBHOOK_TOKEN to what `python -c "import secrets; print(secrets.token_urlsafe(32))"` prints'
)
# 24 letters of such a token are 144 random bits.
SHORTEST: Final = 24
LONGEST: Final = 256
FITS_A_PATH: Final = re.compile(r"[A-Za-z0-9_-]+")


class SecretToken:
    """A token that is long enough. Raises ConfigurationError for one that is missing, short or no part of a path."""

    def __init__(self, token: SecretStr | str | None) -> None:
        value = token.get_secret_value() if isinstance(token, SecretStr) else (token or "")
        if not value:
            raise ConfigurationError(f"there is no webhook token: {HOW_TO}")
        if not SHORTEST <= len(value) <= LONGEST or not FITS_A_PATH.fullmatch(value):
            raise ConfigurationError(
                f"the webhook token has to be {SHORTEST} to {LONGEST} letters, digits, - or _: {HOW_TO}"
            )
        self._token = value.encode()

    def matches(self, said: str) -> bool:
        """Whether it was said; takes the same time however much of it is right."""
        return compare_digest(self._token, said.encode(errors="replace"))
