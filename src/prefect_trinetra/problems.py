"""What is wrong with a request, in plain sentences instead of a validation library's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

__all__ = ["problem_sentences", "shown_value"]

# Enough to recognise a value by; a whole cell would bury the reason.
MAX_SHOWN_CHARACTERS: Final = 60
PHRASES: Final[Mapping[str, str]] = {
    "extra_forbidden": "there is no such field",
    "greater_than_equal": "{value} is less than {ge}",
    "int_from_float": "{value} is not a whole number",
    "int_parsing": "{value} is not a whole number",
    "int_type": "{value} is not a whole number",
    "less_than_equal": "{value} is more than {le}",
    "literal_error": "{value} is not {expected}",
    "missing": "is missing",
    "string_type": "{value} is not text",
}


def problem_sentences(error: ValidationError) -> list[str]:
    """One sentence for each problem, which begins with the field's name."""
    return [_sentence(problem) for problem in error.errors(include_url=False)]


def _sentence(problem: Mapping[str, Any]) -> str:
    field = ".".join(map(str, problem["loc"]))
    context = problem.get("ctx", {})
    if problem["type"] == "value_error":
        said = str(context["error"])
        return said if not field or said.startswith(field) else f"{field}: {said}"
    phrase = PHRASES.get(problem["type"])
    if phrase is None:
        return f"{field}: {problem['msg']}"
    expected = str(context.get("expected", "")).replace("'", "")
    said = phrase.format(**{**context, "expected": expected, "value": shown_value(problem["input"])})
    return f"{field} {said}" if said.startswith("is ") else f"{field}: {said}"


def shown_value(value: object) -> str:
    """`value` as a message quotes it, cut short."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "..."
