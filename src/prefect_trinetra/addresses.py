"""Where a picture may be fetched from: https and public addresses, or this machine where the API is on it. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from prefect_trinetra.errors import DownloadDamaged
from prefect_trinetra.reasons import ReasonClass
from prefect_trinetra.settings import is_loopback_host

__all__ = ["checked_output_url", "may_connect", "shown_host"]

# RFC 4291: every public IPv6 address is handed out of this block; what lies outside is local, mapped or reserved.
GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# RFC 6052: how an IPv6-only network reaches an IPv4 address, which is the last 32 bits.
NAT64: Final = IPv6Network("64:ff9b::/96")


def checked_output_url(url: str, *, loopback: bool) -> str:
    """`url`, if a picture may be fetched from it. `loopback`: whether this machine itself may be asked, in clear too.

    Raises DownloadDamaged for every other scheme, http included, and for what is no URL.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # a malformed one shows only here
    except ValueError:
        raise _not_fetched("the output's address is malformed") from None
    if parts.scheme == "https" and host:
        return url
    if parts.scheme == "http" and host and loopback and is_loopback_host(host):
        return url
    raise _not_fetched(f"the output's address is no https URL but {parts.scheme[:20]!r}: it is not fetched")


def _not_fetched(message: str) -> DownloadDamaged:
    return DownloadDamaged(message, reason_class=ReasonClass.BAD_OUTPUT_URL)


def may_connect(address: str, *, loopback: bool) -> bool:
    """Whether a download may connect to this IP address: a public one, or a loopback one where that is allowed."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return (loopback and ip.is_loopback) or _is_public(ip)


def shown_host(url: str) -> str:
    """The host of `url`, for messages: path and query may hold what lets a stranger in."""
    try:
        return urlsplit(url).hostname or "the output's host"
    except ValueError:
        return "the output's host"


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    match ip:
        case IPv4Address():
            return ip.is_global and not ip.is_multicast
        case IPv6Address():
            inner = _inner_ipv4(ip)
            return _is_public(inner) if inner else ip in GLOBAL_UNICAST and ip.is_global


def _inner_ipv4(ip: IPv6Address) -> IPv4Address | None:
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour
