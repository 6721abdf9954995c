"""What a submit asks for: the body as the provider's page describes it, or why it is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import orjson

from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.faults import chance

__all__ = ["MODEL", "Order", "Refusal", "read_order"]

MODEL: Final = "gpt-image-2"
MAX_PROMPT_CHARACTERS: Final = 32_000
MAX_IMAGES: Final = 4
# What "auto" may choose from.
AUTO_RATIOS: Final = ((1, 1), (3, 2), (2, 3))
AUTO_QUALITIES: Final = ("low", "medium", "high")
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "quality": ("low", "medium", "high", "auto"),
    "background": ("transparent", "opaque", "auto"),
    "output_format": ("png", "jpeg", "webp"),
    "moderation": ("low", "auto"),
}
FIELDS: Final = frozenset(
    {"prompt", "aspect_ratio", "n", "output_compression", "user", "image_url", *CHOICES},
)


class Refusal(Exception):
    """A submit that is answered with an error: the HTTP status, a code, and a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Order:
    """A body that was understood. Equal bodies are equal orders, whatever the order of their fields."""

    canonical: bytes
    digest: str = field(compare=False)
    prompt: str = field(compare=False)
    ratio: tuple[float, float] = field(compare=False)
    quality: str = field(compare=False)
    n: int = field(compare=False)
    background: str = field(compare=False)
    output_format: str = field(compare=False)
    output_compression: int | None = field(compare=False)
    image_url: str | None = field(compare=False)

    @property
    def body(self) -> dict[str, Any]:
        """The request's JSON, as it came but for the order of its fields."""
        body: dict[str, Any] = orjson.loads(self.canonical)
        return body


def read_order(model: str, raw: bytes, config: SandboxConfig) -> Order:
    """The order in a request body. Raises Refusal: 404 for a model, 400 for JSON or moderation, 422 for a field."""
    if model != MODEL:
        raise Refusal(404, "model_not_found", f"There is no image model named {model!r}.")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "invalid_json", f"The body is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "The body is not a JSON object.")
    _check(body)
    _moderate(body["prompt"], config.refuse_words)
    return _order(body)


def _order(body: dict[str, Any]) -> Order:
    # A copy: what orjson returns keeps its buffer of several kilobytes, and these bytes are kept for good.
    canonical = bytes(memoryview(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)))
    digest = blake2b(canonical, digest_size=16).hexdigest()
    compression = body.get("output_compression")
    return Order(
        canonical=canonical,
        digest=digest,
        prompt=body["prompt"],
        ratio=_ratio(body.get("aspect_ratio", "1:1"), digest),
        quality=_quality(body.get("quality", "medium"), digest),
        n=int(body.get("n", 1)),
        background=body.get("background", "auto"),
        output_format=body.get("output_format", "png"),
        output_compression=None if compression is None else int(compression),
        image_url=body.get("image_url"),
    )


def _check(body: dict[str, Any]) -> None:
    for name in body:
        _expect(name in FIELDS, name, "is not a parameter of this model")
    prompt = body.get("prompt")
    _expect(isinstance(prompt, str) and prompt.strip() != "", "prompt", "is required and must be text")
    _expect(len(prompt or "") <= MAX_PROMPT_CHARACTERS, "prompt", "has more than 32,000 characters")
    for name, choices in CHOICES.items():
        _expect(body.get(name, choices[0]) in choices, name, f"must be one of {', '.join(choices)}")
    _expect(_is_whole(body.get("n", 1), 1, MAX_IMAGES), "n", "must be a whole number from 1 to 4")
    ratio = body.get("aspect_ratio", "auto")
    _expect(ratio == "auto" or _sides(ratio) is not None, "aspect_ratio", "must be W:H or auto")
    _expect(isinstance(body.get("user", ""), str), "user", "must be text")
    _check_format(body)
    _expect(_is_web_address(body.get("image_url", "http://")), "image_url", "must be an http(s) URL")


def _check_format(body: dict[str, Any]) -> None:
    output_format = body.get("output_format", "png")
    if body.get("background") == "transparent":
        _expect(output_format != "jpeg", "background", "transparent needs output_format png or webp")
    if "output_compression" in body:
        whole = _is_whole(body["output_compression"], 0, 100)
        _expect(whole, "output_compression", "must be a whole number from 0 to 100")
        _expect(output_format != "png", "output_compression", "needs output_format jpeg or webp")


def _expect(holds: object, name: str, problem: str) -> None:
    if not holds:
        raise Refusal(422, "invalid_parameter", f"{name} {problem}.")


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value in range(low, high + 1)


def _is_web_address(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _sides(ratio: object) -> tuple[float, float] | None:
    match = re.fullmatch(r"(\d{1,5}(?:\.\d{1,5})?)[:x](\d{1,5}(?:\.\d{1,5})?)", str(ratio))
    sides = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    return sides if min(sides) > 0 else None


def _ratio(ratio: str, digest: str) -> tuple[float, float]:
    return _sides(ratio) or AUTO_RATIOS[int(chance("ratio", digest) * len(AUTO_RATIOS))]


def _quality(quality: str, digest: str) -> str:
    if quality != "auto":
        return quality
    return AUTO_QUALITIES[int(chance("quality", digest) * len(AUTO_QUALITIES))]


def _moderate(prompt: str, refuse_words: tuple[str, ...]) -> None:
    lowered = prompt.lower()
    if any(word.lower() in lowered for word in refuse_words):
        raise Refusal(400, "moderation_blocked", "The prompt was blocked by the moderation system.")
