"""Values with named fields that are not to be taken apart by accident."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["Whole"]


class Whole:
    """Put before a pydantic model: it can't be iterated over, and `dict(...)` of it still works.

    pydantic's own iteration hands out (name, value) pairs, and `.map` would submit each of them. Prefect looks for
    futures in `dict(model)`, which asks for `keys` first.
    """

    def __iter__(self) -> NoReturn:
        name = type(self).__name__
        raise TypeError(
            f"{name} is one value, not a sequence of them. In `.map(...)` wrap it: unmapped({name.lower()})."
        )

    def keys(self) -> list[str]:
        return [*self.__dict__, *(getattr(self, "__pydantic_extra__", None) or {})]

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)
