"""What of a URL names its object, and what only signs it for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

__all__ = ["unsigned_url"]

# Query parameters that change with every signing (S3, GCS).
SIGNATURE_PREFIXES: Final = ("x-amz-", "x-goog-")
# Elsewhere these short names mean something (`?st=2` may be another picture): they sign only beside the
# signature itself, which is the name on the left (CloudFront and older S3 and GCS forms; Azure).
SIGNED_BY: Final[Mapping[str, frozenset[str]]] = {
    "signature": frozenset({"awsaccesskeyid", "expires", "googleaccessid", "key-pair-id", "policy", "signature"}),
    "sig": frozenset(
        {"se", "sig", "sip", "ske", "skoid", "sks", "skt", "sktid", "skv", "sp", "spr", "sr", "srt", "ss"}
        | {"st", "sv"}
    ),
}


def unsigned_url(url: str | None) -> str | None:
    """`url` without its fragment and the query parameters that sign it; everything else as it is written."""
    if url is None:
        return None
    parts = urlsplit(url)
    pairs = [(pair.partition("=")[0].lower(), pair) for pair in parts.query.split("&")]
    present = {name for name, _ in pairs}
    signing = {name for mark, names in SIGNED_BY.items() if mark in present for name in names}
    kept = [pair for name, pair in pairs if name not in signing and not name.startswith(SIGNATURE_PREFIXES)]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "&".join(kept), ""))
