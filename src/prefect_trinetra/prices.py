"""What a request may cost at most, as data. What it did cost only ever comes from `credits_charged`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prefect_trinetra.request import MODEL, ImageRequest

__all__ = ["LIST_PRICES", "image_bound", "price_bound"]

# Credits per image by quality, from the provider's page. `auto` has no price of its own.
LIST_PRICES: Final[Mapping[str, Mapping[str, float]]] = {MODEL: {"low": 3, "medium": 7, "high": 14}}


def image_bound(model: str, quality: str, account_prices: Mapping[str, float] | None = None) -> float:
    """The most that one image of this quality costs, in credits: what has no price counts as the dearest.

    `account_prices` (credits per image by quality) replaces list prices tier by tier.
    """
    prices = {**LIST_PRICES[model], **(account_prices or {})}
    tiers = [price for name, price in prices.items() if name != "auto"]
    return prices.get(quality, max(tiers))


def price_bound(request: ImageRequest, account_prices: Mapping[str, float] | None = None) -> float:
    """The most that `request` costs, in credits: n times the bound of one image."""
    return request.n * image_bound(request.model, request.quality, account_prices)
