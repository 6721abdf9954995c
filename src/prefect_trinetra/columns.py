"""A manifest's columns: which of them fill a request's fields, and the types of those carried through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa

from prefect_trinetra.errors import ConfigurationError, ManifestError
from prefect_trinetra.request import ImageRequest

__all__ = ["FIELDS", "ColumnTypes", "as_text", "column_names", "folded", "match_fields", "merged_type"]

FIELDS: Final = tuple(ImageRequest.model_fields)
# Whole numbers up to here are exact as a double.
EXACT_IN_DOUBLE: Final = 2**53
TEXT_TYPES: Final = frozenset({pa.string(), pa.large_string(), pa.string_view()})


def folded(name: str) -> str:
    """What two spellings of one column have in common: neither case nor surrounding space counts."""
    return name.strip().casefold()


def column_names(written: Sequence[str], place: str) -> list[str]:
    """The names in a header, without surrounding space; a nameless column is called after its position.

    Raises ManifestError where two names differ in case or space only: nobody could tell which one is meant.
    """
    names = [name.strip() or f"column_{position}" for position, name in enumerate(written, start=1)]
    seen: dict[str, str] = {}
    for name in names:
        if folded(name) in seen:
            raise ManifestError(f"{place} has two columns of one name, {seen[folded(name)]} and {name}: rename one")
        seen[folded(name)] = name
    return names


def match_fields(columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The column of each request field that has one: as mapped, else the one of the field's own name.

    A column that is mapped fills the fields it is mapped to, and no other.
    A field mapped to nothing (`{"user": ""}`) takes no column, not even that of its own name.
    Raises ConfigurationError for a mapping whose field or column does not exist.
    """
    by_name = {folded(column): column for column in columns}
    taken = {folded(column) for column in mapping.values()}
    found = {field: by_name[field] for field in FIELDS if field in by_name and field not in taken}
    for written, column in mapping.items():
        field = _field(written)
        if not column.strip():
            found.pop(field, None)
        elif folded(column) in by_name:
            found[field] = by_name[folded(column)]
        else:
            raise ConfigurationError(
                f"there is no column {column} to take {field} from; the manifest has {', '.join(columns)}"
            )
    return found


def _field(written: str) -> str:
    field = folded(written).replace("-", "_")
    if field not in FIELDS:
        raise ConfigurationError(f"a request has no field {written} to map a column to; it has {', '.join(FIELDS)}")
    return field


def as_text(value: Any) -> str | None:
    """`value` as the cell of a text column: text as it is, lists, objects and truth values as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool | dict | list):
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return str(value)


def merged_type(types: Iterable[pa.DataType | None]) -> pa.DataType:
    """The type of a column of several files: theirs where they agree, else text (None: no one type)."""
    distinct = {pa.string() if kind in TEXT_TYPES else kind for kind in types if kind != pa.null()}
    return distinct.pop() or pa.string() if len(distinct) == 1 else pa.string()


class ColumnTypes:
    """Finds the columns of rows without a header, and a type that holds each column's values as they are."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._types: dict[str, set[type]] = {}
        self._widest: dict[str, int] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        for written, value in row.items():
            if written not in self._names:
                self._name(written)
            name = self._names[written]
            self._types[name].add(type(value))
            if type(value) is int and abs(value) > self._widest[name]:
                self._widest[name] = abs(value)

    def _name(self, written: str) -> None:
        spelled = {folded(name): name for name in self._types}
        name = self._names[written] = spelled.get(folded(written), written.strip())
        self._types.setdefault(name, set())
        self._widest.setdefault(name, 0)

    @property
    def spellings(self) -> Mapping[str, str]:
        """The column that each spelling found in the rows means."""
        return self._names

    def types(self) -> dict[str, pa.DataType | None]:
        """A type for each column, or None where only text can hold its values side by side."""
        return {name: _json_type(types, self._widest[name]) for name, types in self._types.items()}


def _json_type(types: set[type], widest: int) -> pa.DataType | None:
    kinds = {_kind(kind) for kind in types} - {type(None)}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int} and widest < 2**63:
        return pa.int64()
    if kinds == {float} or (kinds == {int, float} and widest <= EXACT_IN_DOUBLE):
        return pa.float64()
    return pa.string() if kinds <= {str} else None


def _kind(python_type: type) -> type:
    known = (bool, int, float, str, type(None))
    return next((kind for kind in known if issubclass(python_type, kind)), object)
