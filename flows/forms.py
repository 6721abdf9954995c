"""What a flow's form says beside the descriptions, which come from the docstring: a title for each parameter."""

# Without `from __future__ import annotations`: annotations are built here.

import inspect
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from pydantic import Field
from pydantic.fields import FieldInfo

__all__ = ["titled"]

P = ParamSpec("P")
R = TypeVar("R")


def titled(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with a title for each parameter in Prefect's form: its `Field(title=...)`, else its name in words.

    Prefect itself shows the bare name (max_credits): of a Field it takes the schema's extras, not the title.
    """
    hints = get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=_titled(hints.get(name, Any), name))
        for name, parameter in signature.parameters.items()
    ]
    # Prefect reads it, for the form and to check a call.
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # as functools.wraps sets it
    return function


def _titled(annotation: Any, name: str) -> Any:
    extras = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    title = next((extra.title for extra in extras if isinstance(extra, FieldInfo) and extra.title), None)
    return Annotated[annotation, Field(json_schema_extra={"title": title or name.replace("_", " ").capitalize()})]
