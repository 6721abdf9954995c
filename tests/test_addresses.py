"""Where a picture may be fetched from."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.addresses import checked_output_url, may_connect, shown_host
from prefect_trinetra.errors import DownloadDamaged

PUBLIC = ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1"]
NEITHER = [
    str(IPv4Address(0)),
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
    "2002:a00:1::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "no address",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("loopback", [True, False])
def test_a_public_address_may_be_connected_to(address: str, *, loopback: bool) -> None:
    """In whatever form it is written."""
    assert may_connect(address, loopback=loopback)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_only_where_the_api_is_on_it(address: str) -> None:
    """For the sandbox."""
    assert may_connect(address, loopback=True)
    assert not may_connect(address, loopback=False)


@pytest.mark.parametrize("address", NEITHER)
@pytest.mark.parametrize("loopback", [True, False])
def test_no_other_address_may_be_connected_to(address: str, *, loopback: bool) -> None:
    """Private networks, cloud metadata, and the same inside IPv6."""
    assert not may_connect(address, loopback=loopback)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_ipv6_counts_as_itself(address: IPv4Address) -> None:
    """Mapped and translated, it reaches the same machine; loopback is allowed only when written as such."""
    allowed = may_connect(str(address), loopback=False)
    for inside in (f"::ffff:{address}", str(IPv6Address((0x64FF9B << 96) | int(address)))):
        assert may_connect(inside, loopback=False) == allowed
        assert may_connect(inside, loopback=True) == allowed


@pytest.mark.parametrize("url", ["https://cdn.example/a.png?x=1", "HTTPS://cdn.example:8443/", "https://[::1]/a"])
def test_https_is_fetched(url: str) -> None:
    """As it is written; the address itself is checked when it is connected to."""
    assert checked_output_url(url, loopback=False) == url


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/a.png", "http://localhost/a.png", "http://[::1]/a.png"])
def test_http_only_from_this_machine(url: str) -> None:
    """And only where the API is on it."""
    assert checked_output_url(url, loopback=True) == url
    with pytest.raises(DownloadDamaged, match="no https URL"):
        checked_output_url(url, loopback=False)


@pytest.mark.parametrize(
    "url", ["http://cdn.example/a", "ftp://x/a", "file:///a", "data:,x", "//x/a", "a.png", "", "https:///a"]
)
def test_other_schemes_are_not_fetched(url: str) -> None:
    """Whatever the provider says."""
    with pytest.raises(DownloadDamaged):
        checked_output_url(url, loopback=True)


@given(st.text())
def test_any_text_is_fetched_or_refused(url: str) -> None:
    """No other error comes of a strange output."""
    try:
        checked_output_url(url, loopback=True)
    except DownloadDamaged:
        return
    assert url.lower().lstrip().startswith(("https://", "http://"))


@given(st.text())
def test_a_shown_host_is_never_the_whole_url(secret: str) -> None:
    """Path and query may hold what lets a stranger in."""
    assert shown_host(f"https://cdn.example/{secret}?{secret}") == "cdn.example"


def test_what_has_no_host_is_shown_in_words() -> None:
    """A message stays a sentence."""
    assert shown_host("https://[") == shown_host("") == "the output's host"
