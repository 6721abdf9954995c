"""What goes wrong is one sentence and an exit status."""

from __future__ import annotations

from prefect_trinetra.cli.exits import BrokenOff, Exit, exit_status, sentence
from prefect_trinetra.errors import ConfigurationError, StorageError


def broken_off(cause: Exception) -> BrokenOff:
    error = BrokenOff()
    error.__cause__ = cause
    return error


def test_an_error_before_anything_was_ordered_is_status_2() -> None:
    """Nothing was spent."""
    assert exit_status(ConfigurationError("no key")) is Exit.NOTHING_DONE


def test_an_error_once_a_run_has_begun_is_status_1() -> None:
    """It may have spent something, and the sentence says that nothing is lost."""
    error = broken_off(StorageError("the disk is full"))
    assert exit_status(error) is Exit.FAILED
    assert sentence(error).startswith("the disk is full")
    assert "run the same command again" in sentence(error)


def test_an_error_that_nobody_expected_says_what_to_do() -> None:
    """Its kind and its words are there, and --debug shows the rest."""
    said = sentence(ZeroDivisionError("division by zero"))
    assert said.startswith("ZeroDivisionError: division by zero")
    assert "--debug" in said
