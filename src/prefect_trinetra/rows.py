"""From a manifest row's cells to one validated request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from types import NoneType
from typing import Any, Final

from pydantic import ValidationError

from prefect_trinetra.forms import RequestForm
from prefect_trinetra.problems import problem_sentences, shown_value
from prefect_trinetra.prompts import checked_prompt
from prefect_trinetra.request import ImageParameters, ImageRequest
from prefect_trinetra.template import PromptTemplate, is_empty

__all__ = ["RequestBuilder"]

# Stands in for the prompt while the rest of a row is judged.
PLACEHOLDER_PROMPT: Final = "a prompt"
CELLS: Final = (str, NoneType, int, float, Decimal)
# As many combinations of parameters as one manifest is likely to go back and forth between.
COMBINATIONS: Final = 4_096
# Names that are often numbers in JSON and Parquet: 7 means the name "7".
NAMES: Final = frozenset({"image_key", "user"})


class RequestBuilder:
    """Builds requests from cells: a cell of a row beats the parameters given for all rows."""

    def __init__(
        self, fields: Mapping[str, str], parameters: ImageParameters, template: PromptTemplate | None = None
    ) -> None:
        self._fields = [field for field in fields if field != "prompt"]
        self._columns = [fields[field] for field in self._fields]
        self._prompt_column = fields.get("prompt")
        self._template = template
        # what equals a request's own default need not be said
        standard = ImageParameters()
        self._parameters = {
            name: value for name, value in parameters.model_dump().items() if value != getattr(standard, name)
        }
        # rows repeat a few combinations; typed, since 1, 1.0 and True are equal and not equally good
        self._alike = lru_cache(COMBINATIONS, typed=True)(self._validated)

    def asked(self, cells: Mapping[str, Any]) -> tuple[RequestForm, str]:
        """What the row asks for, and its prompt. Raises ValueError with all that is wrong, a sentence each."""
        values = [cells.get(column) for column in self._columns]
        try:
            return self._like(values), checked_prompt(self._prompt(cells))
        except ValueError as error:
            raise ValueError("; ".join(self._problems(cells, values)) or str(error)) from error

    def _like(self, values: Sequence[Any]) -> RequestForm:
        try:
            return self._alike(*values)
        except TypeError:  # a list or an object in a cell can't be looked up
            return self._validated(*values)

    def _validated(self, *values: Any) -> RequestForm:
        given = dict(self._parameters)
        for field, value in zip(self._fields, values, strict=True):
            if not is_empty(value):
                given[field] = _single(field, value)
        return RequestForm(ImageRequest(prompt=PLACEHOLDER_PROMPT, **given))

    def _prompt(self, cells: Mapping[str, Any]) -> str:
        if self._template is not None:
            return self._template.render(cells)
        prompt = cells.get(self._prompt_column) if self._prompt_column is not None else None
        if prompt is None:
            raise ValueError("prompt is missing")
        if not isinstance(prompt, str):
            raise ValueError(f"prompt: {shown_value(prompt)} is not text")  # noqa: TRY004  # a row's problem
        return prompt

    def _problems(self, cells: Mapping[str, Any], values: Sequence[Any]) -> list[str]:
        return _sentences(lambda: checked_prompt(self._prompt(cells))) + _sentences(lambda: self._validated(*values))


def _single(field: str, value: Any) -> Any:
    if not isinstance(value, CELLS):
        raise ValueError(f"{field}: {shown_value(value)} is not a single value")  # noqa: TRY004  # a row's problem
    return str(value) if field in NAMES and type(value) is int else value


def _sentences(judge: Callable[[], object]) -> list[str]:
    try:
        judge()
    except ValidationError as error:
        return problem_sentences(error)
    except ValueError as error:
        return [str(error)]
    return []
