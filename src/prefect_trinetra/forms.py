"""Requests but for their prompts: the rows of a manifest repeat a few, and share what is costly about them."""

from __future__ import annotations

import hashlib
from typing import Final

import orjson

from prefect_trinetra.request import KEY_VERSION, ImageRequest

__all__ = ["RequestForm"]

# Stands in for the prompt. Inside a JSON string its quotes would be escaped: so it is found once.
PLACEHOLDER: Final = "a prompt"
PLACE: Final = b'"prompt":' + orjson.dumps(PLACEHOLDER)


class RequestForm:
    """A request that is right but for its prompt, which is checked by whoever fills it in."""

    __slots__ = ("_around", "request")

    def __init__(self, request: ImageRequest) -> None:
        self.request = request.with_prompt(PLACEHOLDER)
        self._around: dict[int, tuple[bytes, bytes]] = {}

    def filled(self, prompt: str) -> ImageRequest:
        return self.request.with_prompt(prompt)

    def key(self, prompt: str, sample: int = 0) -> str:
        """`filled(prompt).key(sample)`, at a fifth of its cost."""
        around = self._around.get(sample)
        if around is None:
            before, _, after = self.request.canonical(sample).partition(PLACE)
            around = self._around[sample] = (KEY_VERSION.encode() + before + b'"prompt":', after)
        return hashlib.sha256(around[0] + orjson.dumps(prompt) + around[1]).hexdigest()
