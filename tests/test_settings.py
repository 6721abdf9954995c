"""Where key, base URL and limits come from, and what is refused before anything is sent."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.settings import (
    DEFAULT_BASE_URL,
    Account,
    TrinetraSettings,
    is_loopback_host,
    load_settings,
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No TRINETRA_ variable, and a current folder of the test's own."""
    for field in TrinetraSettings.model_fields:
        monkeypatch.delenv(f"TRINETRA_{field.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def key_and_url(settings: TrinetraSettings) -> tuple[str, str]:
    account = settings.account()
    return account.api_key.get_secret_value(), account.base_url


def test_a_key_alone_goes_to_the_provider(environment: pytest.MonkeyPatch) -> None:
    """The base URL has a default."""
    environment.setenv("TRINETRA_API_KEY", "k")
    assert key_and_url(TrinetraSettings()) == ("k", DEFAULT_BASE_URL)


def test_an_argument_beats_the_environment_beats_the_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One value at a time."""
    file = tmp_path / "some.env"
    file.write_text("TRINETRA_MAX_ATTEMPTS=5\nTRINETRA_MAX_CONNECTIONS=5\n")
    assert load_settings(file).max_attempts == 5
    environment.setenv("TRINETRA_MAX_ATTEMPTS", "6")
    assert load_settings(file).max_attempts == 6
    assert load_settings(file).max_connections == 5
    assert TrinetraSettings(max_attempts=7).max_attempts == 7


def test_key_and_base_url_come_from_one_source(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key of the environment never goes to a file's address."""
    file = tmp_path / "some.env"
    file.write_text("TRINETRA_API_KEY=of-file\nTRINETRA_BASE_URL=https://of-file.example\n")
    assert key_and_url(load_settings(file)) == ("of-file", "https://of-file.example")
    environment.setenv("TRINETRA_API_KEY", "of-environment")
    assert key_and_url(load_settings(file)) == ("of-environment", DEFAULT_BASE_URL)
    assert key_and_url(TrinetraSettings(api_key="of-argument")) == ("of-argument", DEFAULT_BASE_URL)


def test_a_base_url_without_its_key_has_none(environment: pytest.MonkeyPatch) -> None:
    """The environment's key was not meant for the address of an argument."""
    environment.setenv("TRINETRA_API_KEY", "of-environment")
    with pytest.raises(ConfigurationError, match="no API key"):
        TrinetraSettings(base_url="https://of-argument.example").account()


def test_an_empty_variable_counts_as_not_set(environment: pytest.MonkeyPatch) -> None:
    """Shells and compose files set them so."""
    environment.setenv("TRINETRA_API_KEY", "k")
    environment.setenv("TRINETRA_BASE_URL", "")
    assert key_and_url(TrinetraSettings()) == ("k", DEFAULT_BASE_URL)


def test_a_settings_file_counts_only_when_named(tmp_path: Path) -> None:
    """A stray `.env` of another project changes nothing."""
    (tmp_path / ".env").write_text("TRINETRA_API_KEY=stray\n")
    assert load_settings().api_key is None


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """Else a typing error would mean other settings."""
    with pytest.raises(ConfigurationError, match=r"missing\.env does not exist"):
        load_settings(tmp_path / "missing.env")


def test_a_named_file_must_be_text(tmp_path: Path) -> None:
    """The message names the file."""
    (tmp_path / "utf16.env").write_bytes(b"\xff\xfeT\x00")
    with pytest.raises(ConfigurationError, match=r"utf16\.env is not UTF-8"):
        load_settings(tmp_path / "utf16.env")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRINETRA_MAX_ATTEMPTS", "none"),
        ("TRINETRA_MAX_ATTEMPTS", "0"),
        ("TRINETRA_SUBMIT_TIMEOUT_SECONDS", "-1"),
        ("TRINETRA_CREDITS_PER_IMAGE", "{bad"),
    ],
)
def test_a_wrong_value_names_its_variable(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """In the words of the environment."""
    environment.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"(?i)" + name.removeprefix("TRINETRA_")):
        TrinetraSettings()


def test_prices_come_as_json(environment: pytest.MonkeyPatch) -> None:
    """By quality, in credits."""
    environment.setenv("TRINETRA_API_KEY", "k")
    environment.setenv("TRINETRA_CREDITS_PER_IMAGE", '{"low": 2.5}')
    assert TrinetraSettings().account().credits_per_image == {"low": 2.5}


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_a_price_below_nothing_is_refused(price: float) -> None:
    """It would lift the cap."""
    with pytest.raises(ConfigurationError, match="credits_per_image: low"):
        Account.of("k", credits_per_image={"low": price})


@pytest.mark.parametrize("key", [None, "", "  ", SecretStr("")])
def test_no_key(key: str | SecretStr | None) -> None:
    """The message says where one may come from."""
    with pytest.raises(ConfigurationError, match="TRINETRA_API_KEY"):
        Account.of(key)


def test_a_masked_key() -> None:
    """A block passed by value to a deployment arrives with asterisks."""
    with pytest.raises(ConfigurationError, match="by reference"):
        Account.of("********")


@pytest.mark.parametrize("key", ["secret\n", " secret", "sec\tret", "sécret", "secret\x00"])
def test_a_key_that_no_header_carries(key: str) -> None:
    """The message does not show it."""
    with pytest.raises(ConfigurationError) as refused:
        Account.of(key)
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.example", "https://api.example"),
        (" https://api.example/v2/ ", "https://api.example/v2"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_good_base_url(url: str, kept: str) -> None:
    """https, or this machine itself; without a slash at its end."""
    assert Account.of("k", url).base_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example",
        "http://api.example",
        "http://10.0.0.1",
        "ftp://localhost",
        "https://",
        "https://[broken",
        "https://api.example:port",
        "https://user:secret@api.example",
        "https://:secret@api.example",
        "https://api.example/?key=secret",
        "https://api.example/#secret",
        "https://api example",
    ],
)
def test_a_bad_base_url(url: str) -> None:
    """The key goes to one plain https address; what may be a password is not shown."""
    with pytest.raises(ConfigurationError) as refused:
        Account.of("k", url)
    assert "secret" not in str(refused.value)


def test_an_origin_has_no_path_and_no_case() -> None:
    """A dataset compares it with the origin that it was made for."""
    assert Account.of("k", "https://API.example:8443/v2").origin == "https://api.example:8443"


def test_an_account_does_not_show_its_key() -> None:
    """Neither an account nor the settings."""
    assert "secret" not in repr(Account.of("secret"))
    assert "secret" not in repr(TrinetraSettings(api_key="secret"))


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("::", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_what_this_machine_is(host: str, *, loopback: bool) -> None:
    """Only what can be no other one."""
    assert is_loopback_host(host) is loopback
