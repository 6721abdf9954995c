"""What the provider says is wrong, in whichever of the usual shapes: nobody documents one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

__all__ = ["Complaint", "complaint_in", "json_object"]

# Enough for any sentence; a whole HTML page helps nobody.
MAX_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error's code and its words, at most 300 characters each; None where there are none."""

    code: str | None = None
    words: str | None = None


def complaint_in(document: Mapping[str, Any]) -> Complaint:
    """The complaint in an error body or a job document; an empty one where nothing is said."""
    error = next((document[name] for name in ("error", "detail", "message") if document.get(name)), None)
    code = error.get("code") or error.get("type") if isinstance(error, dict) else document.get("code")
    words = (error.get("message") or code or error) if isinstance(error, dict) else error
    return Complaint(_short(code) if code else None, _short(words) if words else None)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, or an empty one where it is something else."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _short(value: object) -> str:
    return str(value)[:MAX_CHARACTERS]
