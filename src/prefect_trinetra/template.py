"""Prompts built from a row's columns: the part of Jinja2 that only looks up and formats."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from jinja2 import Environment, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from prefect_trinetra.errors import ConfigurationError

__all__ = ["FILTERS", "PromptTemplate", "is_empty"]

# What formats a word, and nothing that loops, calls or reaches into a value.
FILTERS: Final = frozenset({"capitalize", "default", "lower", "replace", "title", "trim", "upper"})
REMEDY: Final = "a template takes plain columns, {{ column }}, and the filters " + ", ".join(sorted(FILTERS)) + " only"
_ENVIRONMENT: Final[Environment] = ImmutableSandboxedEnvironment(autoescape=False)
_EVALUATION: Final = nodes.EvalContext(_ENVIRONMENT)


def is_empty(value: object) -> bool:
    """Whether a cell counts as not given: nothing, only white space, or a float that is no number."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or value != value  # noqa: PLR0124  # only NaN differs from itself


@dataclass(frozen=True, slots=True)
class _Slot:
    """One `{{ column | filter }}`. With `default` as its first filter it takes an empty cell."""

    column: str
    steps: tuple[Callable[[Any], Any], ...]
    takes_empty: bool

    def render(self, cells: Mapping[str, Any]) -> str:
        value = cells.get(self.column)
        if is_empty(value):
            if not self.takes_empty:
                raise ValueError(f"column {self.column} is empty, and the template needs it")
            value = _ENVIRONMENT.undefined(name=self.column)
        for step in self.steps:
            value = step(value)
        return str(value)


class PromptTemplate:
    """A template whose columns are known to exist."""

    def __init__(self, parts: Sequence[str | _Slot]) -> None:
        self._parts = tuple(parts)

    @classmethod
    def parse(cls, text: str, columns: Sequence[str]) -> Self:
        """The template in `text` over `columns`, which match exactly, else without regard to case.

        A column whose name is no Jinja name is offered with underscores: `{{ art_style }}` for "Art style".
        Raises ConfigurationError that shows the piece at fault: bad syntax, more than columns and filters, or
        no such column.
        """
        try:
            tree = _ENVIRONMENT.parse(text)
        except TemplateError as error:
            raise ConfigurationError(f"template: {error}; {REMEDY}") from error
        return cls([part for node in tree.body for part in _parts(node, columns)])

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it takes, in order, each once."""
        return tuple(dict.fromkeys(part.column for part in self._parts if isinstance(part, _Slot)))

    def render(self, cells: Mapping[str, Any]) -> str:
        """The prompt of a row. Raises ValueError naming the column that is empty."""
        return "".join([part if isinstance(part, str) else part.render(cells) for part in self._parts])


def _parts(node: nodes.Node, columns: Sequence[str]) -> list[str | _Slot]:
    if not isinstance(node, nodes.Output):
        raise ConfigurationError(f"template: {_piece(node)} is not taken; {REMEDY}")
    return [piece.data if isinstance(piece, nodes.TemplateData) else _slot(piece, columns) for piece in node.nodes]


def _slot(node: nodes.Node, columns: Sequence[str]) -> _Slot:
    steps: list[Callable[[Any], Any]] = []
    first = ""
    while isinstance(node, nodes.Filter) and node.node is not None:
        steps.insert(0, _step(node))
        first, node = node.name, node.node
    if not isinstance(node, nodes.Name):
        raise ConfigurationError(f"template: {_piece(node)} is not taken; {REMEDY}")
    return _Slot(_column(node.name, columns), tuple(steps), takes_empty=first == "default")


def _step(node: nodes.Filter) -> Callable[[Any], Any]:
    if node.name not in FILTERS:
        raise ConfigurationError(f"template: filter {node.name} is not taken; {REMEDY}")
    args = [_constant(node.name, argument) for argument in node.args]
    kwargs = {str(pair.key): _constant(node.name, pair.value) for pair in node.kwargs}
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise ConfigurationError(f"template: filter {node.name} takes plain values only, no * and **")

    def step(value: Any) -> Any:
        return _ENVIRONMENT.call_filter(node.name, value, args, kwargs, eval_ctx=_EVALUATION)

    try:
        step("a word to try it with")
    except (TypeError, ValueError, TemplateError) as error:
        raise ConfigurationError(f"template: filter {node.name} can't be used like this: {error}") from error
    return step


def _constant(filter_name: str, node: nodes.Node) -> Any:
    if not isinstance(node, nodes.Const):
        raise ConfigurationError(f"template: {_piece(node)} in filter {filter_name} is not taken: write a plain value")
    return node.value


def _column(name: str, columns: Sequence[str]) -> str:
    for spelling in (str, str.casefold, _jinja_name):
        found = [column for column in columns if spelling(column) == spelling(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigurationError(f"template: {name} may mean each of {', '.join(found)}: rename one of them")
    raise ConfigurationError(f"template: there is no column {name}; the manifest has {', '.join(columns)}")


def _jinja_name(column: str) -> str:
    return re.sub(r"\W", "_", column).casefold()


def _piece(node: nodes.Node) -> str:
    """The piece in the words of the template's writer, as far as the syntax tree still knows them."""
    match node:
        case nodes.Getattr(node=inner, attr=name):
            return f"{_piece(inner)}.{name}"
        case nodes.Getitem(node=inner):
            return f"{_piece(inner)}[...]"
        case nodes.Call(node=inner):
            return f"{_piece(inner)}(...)"
        case nodes.Name(name=name):
            return str(name)
        case nodes.Const(value=value):
            return repr(value)
        case nodes.Stmt():
            return f"the statement {{% {type(node).__name__.lower()} %}} in line {node.lineno}"
        case _:
            return f"the expression ({type(node).__name__.lower()}) in line {node.lineno}"
