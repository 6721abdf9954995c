"""Which request bodies the sandbox understands: the provider's table of parameters, field by field."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.order import MODEL, Order, Refusal, read_order

CONFIG = SandboxConfig()


def order_of(**body: Any) -> Order:
    return read_order(MODEL, orjson.dumps(body), CONFIG)


@pytest.mark.parametrize(
    "fields",
    [
        {"aspect_ratio": "16:9", "quality": "auto", "n": 4, "background": "opaque"},
        {"aspect_ratio": "auto", "output_format": "webp", "background": "transparent"},
        {"aspect_ratio": "1024x768", "output_format": "jpeg", "output_compression": 0},
        {"moderation": "low", "user": "someone", "n": 2.0, "image_url": "https://example.com/a.png"},
    ],
)
def test_every_documented_parameter_is_taken(fields: dict[str, Any]) -> None:
    """With any of its documented values."""
    order = order_of(prompt="a cat", **fields)
    assert order.body == {"prompt": "a cat", **fields}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"aspect_ratio": "wide"}, "aspect_ratio"),
        ({"aspect_ratio": "0:1"}, "aspect_ratio"),
        ({"aspect_ratio": 1}, "aspect_ratio"),
        ({"quality": "best"}, "quality"),
        ({"quality": ["low"]}, "quality"),
        ({"n": 0}, "n"),
        ({"n": 5}, "n"),
        ({"n": 2.5}, "n"),
        ({"n": True}, "n"),
        ({"n": "2"}, "n"),
        ({"background": "red"}, "background"),
        ({"background": "transparent", "output_format": "jpeg"}, "background"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 50}, "output_compression"),
        ({"output_compression": 101, "output_format": "jpeg"}, "output_compression"),
        ({"moderation": "off"}, "moderation"),
        ({"user": 7}, "user"),
        ({"image_url": "file:///etc/passwd"}, "image_url"),
        ({"image_url": None}, "image_url"),
        ({"sampel": 1}, "sampel"),
    ],
)
def test_whatever_else_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    """422, and the message begins with the field's name."""
    with pytest.raises(Refusal) as caught:
        order_of(**({"prompt": "a cat"} | fields))
    assert caught.value.status == 422
    assert caught.value.message.startswith(f"{named} ")


def test_the_longest_prompt_is_taken() -> None:
    """32,000 characters, whatever they weigh in bytes."""
    assert len(order_of(prompt="猫" * 32_000).prompt) == 32_000


@given(st.permutations([("prompt", "a cat"), ("n", 2), ("quality", "low"), ("user", "u")]))
def test_the_order_of_fields_makes_no_difference(fields: list[tuple[str, Any]]) -> None:
    """Equal bodies are one line of the bill."""
    assert order_of(**dict(fields)) == order_of(prompt="a cat", n=2, quality="low", user="u")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip()))
def test_a_prompt_is_kept_as_it_came(prompt: str) -> None:
    """No character is lost or changed on its way to the bill."""
    assert order_of(prompt=prompt).body["prompt"] == prompt
