"""What a test needs of the machine beside Python packages: it is there, or the test is skipped and says why."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["absent", "node_program", "program", "python_program"]


def program(name: str, *, debian: str) -> str:
    """The path of a program that the Debian package `debian` brings."""
    # Debian keeps servers where only root's PATH leads.
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return found or absent(f"{name} is not here: apt-get install {debian}, or make test as root")


def python_program(name: str) -> str:
    """The path of a program that a Python package among the test dependencies brings."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    return found or absent(f"{name} is not here: pip install -e '.[test]' brings it")


def node_program(name: str) -> str:
    """The path of a program that .ci/machine installs from npm, beside the Python that runs the tests."""
    homes = [Path(home) for home in (os.environ.get("TRINETRA_NODE"), ".venv/node") if home]
    for home in homes:
        found = home / "node_modules" / ".bin" / name
        if found.is_file():
            return str(found.resolve())
    return absent(f"{name} is not here: .ci/machine .venv installs it where npm is")


def absent(reason: str) -> NoReturn:
    """Skips the test; fails it in CI, where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
