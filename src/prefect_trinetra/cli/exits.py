"""What a command's end means to whoever started it: an exit status and one sentence."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Final

from cyclopts import CycloptsError
from pydantic import ValidationError

from prefect_trinetra.errors import TrinetraError
from prefect_trinetra.problems import problem_sentences

__all__ = ["BrokenOff", "Exit", "Stopped", "exit_status", "sentence"]


class Exit(IntEnum):
    """The exit statuses; a signal's is 128 and its number, as shells have it."""

    OK = 0
    """Failures within tolerance; rows left over included."""
    FAILED = 1
    """More failures than tolerated, or a run that began and broke off."""
    NOTHING_DONE = 2
    """Bad use, or nothing could start: nothing was spent."""
    INTERRUPTED = 130
    TERMINATED = 143


class Stopped(KeyboardInterrupt):
    """SIGTERM: ends a run as cleanly as Ctrl-C does."""


class BrokenOff(Exception):
    """A run ended by an error after it had begun to submit; the error is the cause."""


FIELD: Final = re.compile(r"^[a-z_]+(?=[: ])")
UNEXPECTED: Final = "this should not happen; run it again with --debug and report what it prints"


def sentence(error: BaseException) -> str:
    """What happened and what to do next, on one line."""
    match error:
        case BrokenOff(__cause__=cause) if cause is not None:
            return f"{sentence(cause)} (the run had begun: all that was bought is recorded, run the same command again)"
        case CycloptsError(__cause__=ValidationError() as wrong):
            return "; ".join(FIELD.sub(_flag, problem) for problem in problem_sentences(wrong))
        case CycloptsError():
            return str(error)
        case ValidationError():
            return "; ".join(problem_sentences(error))
        case TrinetraError():
            return str(error)
        case OSError():
            return str(error)
        case _:
            return f"{type(error).__name__}: {error} ({UNEXPECTED})"


def exit_status(error: Exception) -> Exit:
    """2 as long as nothing was spent, which is so until a run has begun."""
    return Exit.FAILED if isinstance(error, BrokenOff) else Exit.NOTHING_DONE


def _flag(field: re.Match[str]) -> str:
    return "--" + field[0].replace("_", "-")
