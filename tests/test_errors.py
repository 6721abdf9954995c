"""The error tree: what is drawn, what is exported and what there is are the same."""

import inspect
import pickle
import re

import pytest

from prefect_trinetra import errors
from prefect_trinetra.errors import AccountRefused, JobGone, JobUnreadable, RateLimited, TrinetraError
from prefect_trinetra.reasons import ReasonClass

DEFINED = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == errors.__name__
}


def drawn() -> dict[str, str | None]:
    """Each error in the drawing, and what it hangs on."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        if found := re.match(r" *([├└│─ ]*)([A-Z]\w+)(  |$)", line):
            depth = len(found[1]) // 4
            path = [*path[:depth], found[2]]
            parents[found[2]] = path[-2] if depth else None
    return parents


def test_the_tree_is_as_drawn() -> None:
    """A reader may trust the drawing at the module's top."""
    bases = {name: value.__base__ for name, value in DEFINED.items()}
    real = {name: base.__name__ if base in DEFINED.values() else None for name, base in bases.items() if base}
    assert drawn() == real


def test_all_errors_are_exported() -> None:
    """And nothing else."""
    assert sorted(errors.__all__) == sorted(DEFINED)


def test_every_error_says_what_it_means() -> None:
    """In a docstring of its own."""
    assert all(value.__dict__.get("__doc__") for value in DEFINED.values())


@pytest.mark.parametrize(
    "error",
    [
        TrinetraError("x"),
        AccountRefused("x", status=401, code="c", reason_class=ReasonClass.BAD_KEY),
        RateLimited("x", retry_after_seconds=2.0),
        JobUnreadable("x", job_id="j", retry_after_seconds=2.0),
        JobGone("x", job_id="j", status=404),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_a_process_boundary(error: TrinetraError) -> None:
    """Dask, Ray and Prefect's results carry errors from one process to another."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # what this line itself wrote
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
