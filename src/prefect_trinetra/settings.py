"""Where the key, the base URL and every limit come from, and the reason of each default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.holdings import DEAD_SECONDS

__all__ = ["DEFAULT_BASE_URL", "Account", "TrinetraSettings", "is_loopback_host", "load_settings"]

DEFAULT_BASE_URL: Final = "https://brahmand-api.bulletshorts.co"


class TrinetraSettings(BaseSettings):
    """Settings of a process, from `TRINETRA_...` variables; a `.env` file counts only when it is named.

    All times are in seconds. Precedence: arguments, then environment variables, then the named file; the key and the
    base URL are always taken together, from the first of these that has either.
    """

    model_config = SettingsConfigDict(env_prefix="TRINETRA_", extra="ignore", frozen=True, validate_default=True)

    api_key: SecretStr | None = Field(None, description="The provider's API key.")
    base_url: str = Field(DEFAULT_BASE_URL, description="Where the API lives; https, or a loopback address.")
    credits_per_image: dict[str, float] = Field(
        {},
        description="The account's own prices by quality, in credits; list prices stand for what is missing.",
    )
    webhooks: bool = Field(
        False,
        description="Your word that the key's `webhook_url` leads to `prefect-trinetra webhooks serve`: runs through "
        "Prefect wait for its events, and poll only where they don't come.",
    )
    webhook_token: SecretStr | None = Field(
        None, description="The secret part of the receiver's address; only `prefect-trinetra webhooks serve` needs it."
    )
    connect_timeout_seconds: float = Field(
        10.0, gt=0, description="A reachable server answers a SYN in well under this."
    )
    submit_timeout_seconds: float = Field(
        60.0, gt=0, description="Past it a POST's outcome is unknown, so it is generous."
    )
    poll_timeout_seconds: float = Field(30.0, gt=0, description="A look at a job is repeated anyway.")
    download_timeout_seconds: float = Field(120.0, gt=0, description="For one whole image of up to max_image_bytes.")
    max_downloads: int = Field(
        16,
        ge=1,
        description="Images fetched, checked and stored at once, each held whole: 16 bring home 4 a second, as much as "
        "the largest account makes, even where each takes 4 s.",
    )
    max_image_bytes: int = Field(64 * 2**20, gt=0, description="Above any real picture, below what hurts memory.")
    max_image_pixels: int = Field(64_000_000, gt=0, description="Checked before decoding: a guard against image bombs.")
    poll_patience: float = Field(
        1.0,
        ge=0.1,
        le=10,
        description="Trades delay for requests: 2 sees ends about twice as late, with fewer looks at each job.",
    )
    max_connections: int = Field(64, gt=0, description="Open connections to the API, and as many to the CDN.")
    placeholder_sha256s: tuple[Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")], ...] = Field(
        (), description="Files that are known to stand for a picture that could not be made: they get a `suspect`."
    )
    job_lifetime_seconds: float = Field(7 * 86_400.0, gt=0, description="A pending job older than this is expired.")
    max_attempts: int = Field(3, ge=1, description="POSTs of one request in all, over every run.")
    lease_seconds: float = Field(
        DEAD_SECONDS,
        gt=0,
        description="A run of the same dataset that is silent for so long is taken for dead; one alive speaks up every "
        "quarter of it.",
    )
    retry_503: bool = Field(
        False, description="Your word that a bare 503 of this account's API is answered before acceptance."
    )
    honours_idempotency_key: bool = Field(
        False,
        description="Your word that the API honours Idempotency-Key, so an unknown POST may be repeated.",
    )

    def __init__(self, **values: object) -> None:
        try:
            super().__init__(**values)  # type: ignore[arg-type]  # pydantic validates what it is given
        except ValidationError as error:
            problems = "; ".join(
                f"TRINETRA_{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}" for problem in error.errors()
            )
            raise ConfigurationError(f"a setting is wrong: {problems}") from None
        except SettingsError as error:
            raise ConfigurationError(f"a TRINETRA_... setting can't be read: {error}") from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (_PairedSource(settings_cls, [init_settings, env_settings, dotenv_settings, file_secret_settings]),)

    def account(self) -> Account:
        """The account of these settings. Raises ConfigurationError where there is no key."""
        return Account.of(self.api_key, self.base_url, credits_per_image=self.credits_per_image, webhooks=self.webhooks)


class _PairedSource(PydanticBaseSettingsSource):
    """The sources in order, with key and base URL from one of them: a key never goes to another source's address."""

    def __init__(self, settings_cls: type[BaseSettings], sources: list[PydanticBaseSettingsSource]) -> None:
        super().__init__(settings_cls)
        self._sources = sources

    def get_field_value(self, field: object, field_name: str) -> tuple[object, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, object]:
        merged: dict[str, object] = {}
        pair: dict[str, object] = {}
        for source in self._sources:
            values = {name: value for name, value in source().items() if value not in (None, "")}
            mine: dict[str, object] = {name: values.pop(name) for name in ("api_key", "base_url") if name in values}
            pair = pair or mine
            merged = {**values, **merged}
        return merged | pair


@dataclass(frozen=True)
class Account:
    """A key and the address it belongs to: they come from one source and travel together."""

    api_key: SecretStr = field(repr=False)
    base_url: str
    label: str = "default"
    credits_per_image: Mapping[str, float] = field(default_factory=dict)
    webhooks: bool = False
    """Whether the key's webhooks are said to become Prefect events."""

    @classmethod
    def of(
        cls,
        api_key: SecretStr | str | None,
        base_url: str = DEFAULT_BASE_URL,
        *,
        label: str = "default",
        credits_per_image: Mapping[str, float] | None = None,
        webhooks: bool = False,
    ) -> Self:
        """A checked account.

        Raises ConfigurationError for a missing or masked key, an address that is not https, or a price below 0.
        """
        key = api_key.get_secret_value() if isinstance(api_key, SecretStr) else (api_key or "")
        _check_key(key)
        prices = _checked_prices(credits_per_image or {})
        return cls(SecretStr(key), _checked_base_url(base_url), label, prices, webhooks)

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a dataset remembers of where its images came from."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc.lower()}"

    @property
    def is_loopback(self) -> bool:
        return is_loopback_host(urlsplit(self.base_url).hostname or "")


def load_settings(env_file: str | Path | None = None) -> TrinetraSettings:
    """This process's settings; `env_file` is read only when named. Raises ConfigurationError where it is missing."""
    if env_file is None:
        return TrinetraSettings()
    if not Path(env_file).is_file():
        raise ConfigurationError(f"the settings file {env_file} does not exist: name another, or leave it out")
    try:
        return TrinetraSettings(_env_file=env_file)
    except UnicodeDecodeError:
        raise ConfigurationError(f"the settings file {env_file} is not UTF-8 text: save it as such") from None


def is_loopback_host(host: str) -> bool:
    """Whether `host` is this machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_key(key: str) -> None:
    if not key.strip():
        raise ConfigurationError("there is no API key: set TRINETRA_API_KEY, or pass a TrinetraCredentials block")
    if not key.strip("*"):
        raise ConfigurationError(
            "the API key is only asterisks: a block was passed by value to a deployment, which masks its secrets. "
            'Pass it by reference: {"$ref": {"block_document_slug": "trinetra-credentials/NAME"}}'
        )
    if key != key.strip() or not key.isascii() or not key.isprintable():
        raise ConfigurationError(
            "the API key holds spaces, line ends or characters that no HTTP header carries: paste it again"
        )


def _checked_base_url(url: str) -> str:
    url = url.strip()
    try:
        parts = urlsplit(url)
        _ = parts.port  # a malformed one shows only here
    except ValueError as error:
        raise ConfigurationError(f"the base URL is malformed ({error}): give scheme, host and path") from None
    if not parts.hostname or any(mark in url for mark in "?#@") or not url.isprintable() or " " in url:
        # not shown whole: what is too much may be a password
        raise ConfigurationError(f"base URL {parts.scheme}://{parts.hostname or ''}: give scheme, host and path only")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback_host(parts.hostname)):
        raise ConfigurationError(
            f"base URL {url}: the key would travel in clear; use https (http only for this machine)"
        )
    return url.rstrip("/")


def _checked_prices(prices: Mapping[str, float]) -> dict[str, float]:
    for quality, price in prices.items():
        if not 0 <= price < float("inf"):
            raise ConfigurationError(f"credits_per_image: {quality} costs {price}; give 0 or more credits")
    return dict(prices)
