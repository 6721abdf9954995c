"""An account of the provider, as a Prefect block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr

from prefect_trinetra.settings import DEFAULT_BASE_URL, Account, TrinetraSettings, load_settings
from prefect_trinetra.whole import Whole

if TYPE_CHECKING:
    from prefect_trinetra.client import TrinetraClient

__all__ = ["TrinetraCredentials", "account_of"]


class TrinetraCredentials(Whole, Block):
    """
    A key of the image provider's API, the address it belongs to, and the account's own prices.

    Example:
        Load stored credentials and use them in a flow run:
        ```python
        from prefect_trinetra.blocks import TrinetraCredentials
        from prefect_trinetra.flows import generate_dataset

        credentials = TrinetraCredentials.load("BLOCK_NAME")
        generate_dataset("prompts.csv", "cats", credentials=credentials, max_credits=100)
        ```
    """

    _block_type_name = "Trinetra Credentials"
    _block_type_slug = "trinetra-credentials"
    # The picture of Prefect's own Secret block: wherever its UI is shown, this address is asked for anyway.
    _logo_url = HttpUrl(
        "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos/secret.png"
    )
    # The block's own words are on its page. This one says how blocks are stored, shared and used in deployments.
    _documentation_url = HttpUrl("https://docs.prefect.io/latest/develop/blocks")

    api_key: SecretStr = Field(
        default=..., title="API key", description="The provider's API key; it is sent to the base URL only."
    )
    base_url: str = Field(
        default=DEFAULT_BASE_URL,
        title="Base URL",
        description="Where the API lives; https, or an address of this machine.",
    )
    account_label: str = Field(
        default="default",
        title="Account label",
        description="A name for the account, written into each dataset that is made with it.",
    )
    credits_per_image: dict[str, float] = Field(
        default_factory=dict,
        title="Credits per image",
        description="The account's own prices by quality (low, medium, high, auto); list prices for the rest.",
    )
    webhooks: bool = Field(
        default=False,
        title="Webhooks",
        description="Whether the key's webhook address leads to `prefect-trinetra webhooks serve`: runs then wait for "
        "its events, and poll only where they don't come.",
    )

    def account(self) -> Account:
        """Key and address together, checked. Raises ConfigurationError, also for a key that Prefect has masked."""
        return Account.of(
            self.api_key,
            self.base_url,
            label=self.account_label,
            credits_per_image=self.credits_per_image,
            webhooks=self.webhooks,
        )

    def get_client(self, settings: TrinetraSettings | None = None) -> TrinetraClient:
        """A fresh client, to be used within one event loop and closed by whoever asked: `async with`."""
        # Imported here: Prefect's server loads this module at its start, and sends no images.
        from prefect_trinetra.client import TrinetraClient

        return TrinetraClient(self.account(), settings or load_settings())


def account_of(credentials: TrinetraCredentials | None) -> Account:
    """The block's account, else the environment's. Raises ConfigurationError where there is none."""
    return load_settings().account() if credentials is None else credentials.account()
