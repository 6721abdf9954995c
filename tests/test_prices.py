"""What a request may cost at most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.prices import image_bound, price_bound
from prefect_trinetra.request import MODEL, ImageRequest

qualities = st.sampled_from(["low", "medium", "high", "auto"])
credits_per_image = st.floats(0, 1_000)


@pytest.mark.parametrize(("quality", "price"), [("low", 3), ("medium", 7), ("high", 14), ("auto", 14)])
def test_list_prices_are_those_of_the_providers_page(quality: str, price: float) -> None:
    """auto has no price of its own: it is bounded by the dearest."""
    assert image_bound(MODEL, quality) == price


def test_a_bound_counts_every_image() -> None:
    """Four images may cost four times one."""
    assert price_bound(ImageRequest("x", quality="high", n=4)) == 56


def test_an_accounts_own_prices_replace_list_prices_tier_by_tier() -> None:
    """What the account does not name stays at list price, and auto at the dearest of both."""
    own = {"high": 10.0, "low": 2.5}
    assert [image_bound(MODEL, quality, own) for quality in ("low", "medium", "high", "auto")] == [2.5, 7, 10, 10]
    assert image_bound(MODEL, "auto", {"auto": 5.0}) == 5


@given(quality=qualities, n=st.integers(1, 4), own=st.dictionaries(qualities, credits_per_image))
def test_no_quality_costs_more_than_auto_unless_auto_is_priced(quality: str, n: int, own: dict[str, float]) -> None:
    """Whatever the provider makes of auto stays under its bound."""
    own.pop("auto", None)
    assert n * image_bound(MODEL, quality, own) <= price_bound(ImageRequest("x", quality="auto", n=n), own)
