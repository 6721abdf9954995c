"""What an installed prefect-trinetra promises to pip, to Prefect and to type checkers."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points, packages_distributions, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import prefect_trinetra.blocks
from tree import PACKAGE, ROOT, source_files

PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+")
# All but those that bring a cluster.
TRIED_EXTRAS = ("s3", "gcs", "azure", "sftp", "webdav", "export", "hub", "test", "lint")


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def required(*extras: str) -> list[Requirement]:
    """What the package itself and these extras require."""
    table = project()
    texts = [*table["dependencies"]]
    for extra in extras:
        texts += table["optional-dependencies"][extra]
    # An extra that names others names the package itself.
    return [each for each in map(Requirement, texts) if each.name != table["name"]]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    split = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): pinned for name, pinned in split}


def imported(file: Path) -> Iterator[str]:
    """The top-level names that a file imports, in functions too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_prefect_finds_the_collection() -> None:
    """Prefect loads the entry point to learn our block types, so it names the package that defines them."""
    (found,) = entry_points(group="prefect.collections", name="prefect_trinetra")
    assert found.load() is prefect_trinetra.blocks


def test_the_command_is_installed() -> None:
    """`prefect-trinetra` on the command line is the package's main."""
    (found,) = entry_points(group="console_scripts", name="prefect-trinetra")
    assert callable(found.load())


def test_type_checkers_see_the_annotations() -> None:
    """Without py.typed every import of the package would be Any."""
    assert (PACKAGE / "py.typed").is_file()


def test_the_installed_version_is_the_declared_one() -> None:
    """A stale install would test yesterday's metadata."""
    assert version("prefect-trinetra") == project()["version"]


def test_constraints_are_plain_pins() -> None:
    """A pin names a version and nothing else: no address, no path, no hash."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    wrong = [line for line in lines if line and not line.startswith("#") and not PIN.fullmatch(line)]
    assert not wrong


@pytest.mark.parametrize("requirement", required(*TRIED_EXTRAS), ids=lambda requirement: requirement.name)
def test_constraints_pin_what_is_declared(requirement: Requirement) -> None:
    """What pyproject.toml asks for has a tried version, and the tried version is one that it allows."""
    pinned = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(pinned)


def test_constraints_keep_fastapi_below_the_versions_prefect_cannot_use() -> None:
    """With newer ones `prefect deploy --all` stops with 422 after the first deployment."""
    assert Requirement("fastapi<0.151").specifier.contains(pins()["fastapi"])


def test_everything_imported_is_declared() -> None:
    """No import works only because another dependency happens to bring it along."""
    declared = {canonicalize_name(requirement.name) for requirement in required(*project()["optional-dependencies"])}
    distributions = packages_distributions()
    for file in source_files():
        for name in set(imported(file)) - sys.stdlib_module_names - {"prefect_trinetra"}:
            owners = {canonicalize_name(owner) for owner in distributions.get(name, [name])}
            assert owners & declared, f"{file.name} imports {name}: declare {' or '.join(owners)} in pyproject.toml"
