"""The tree is the architecture: three real folders at the root, one package, one direction."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tree import FROM_SOURCE, LAYERS, PACKAGE, ROOT, module_name, source_files

ABOVE_THE_CORE = tuple(f"prefect_trinetra.{name}" for name in (*LAYERS, "cli", "webhooks"))


def modules_in(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.py")}


def core_modules() -> list[str]:
    names = (module_name(file) for file in source_files())
    return [name for name in names if not name.startswith(ABOVE_THE_CORE) and not name.endswith(".__main__")]


def loaded_after_importing(modules: list[str]) -> set[str]:
    """The top-level modules that a new interpreter holds once it has imported these."""
    program = f"import sys, {', '.join(modules)}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("layer", LAYERS)
def test_a_root_folder_and_its_subpackage_hold_the_same_modules(layer: str) -> None:
    """From source the subpackage is a relative link to the root folder; in a wheel it is a copy."""
    folder = PACKAGE / layer
    assert "__init__" in modules_in(folder)
    if FROM_SOURCE:
        assert folder.readlink() == Path("..", "..", layer)
        assert modules_in(folder) == modules_in(ROOT / layer)
    else:
        assert not (ROOT / layer).exists(), "the sources are within reach of the wheel's tests"
        assert not folder.is_symlink()


def test_every_package_is_listed_for_the_wheel() -> None:
    """Setuptools builds only what pyproject.toml lists, so a new subpackage has to be added there."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {module_name(file) for file in source_files() if file.name == "__init__.py"}
    assert found == set(listed)


def test_the_core_works_without_prefect() -> None:
    """Importing every core module leaves Prefect unloaded: it costs seconds and is not needed."""
    assert "prefect" not in loaded_after_importing(core_modules())


def test_importing_the_package_is_cheap() -> None:
    """Prefect's server imports every collection at its start: the package itself loads nothing heavy."""
    heavy = {"prefect", "httpx", "aiohttp", "pyarrow", "pydantic", "PIL", "fsspec"}
    assert not heavy & loaded_after_importing(["prefect_trinetra"])


@pytest.mark.parametrize("layer", LAYERS)
def test_no_module_of_a_layer_has_the_name_of_a_standard_module(layer: str) -> None:
    """A deployment's path entrypoint puts the layer's folder first on sys.path, and would hide it."""
    assert not modules_in(PACKAGE / layer) & sys.stdlib_module_names


@pytest.mark.parametrize("layer", LAYERS)
def test_no_module_of_a_layer_shares_its_name_with_what_it_defines(layer: str) -> None:
    """Where a package exports a flow under its module's name, an import finds the flow instead."""
    for file in (PACKAGE / layer).glob("*.py"):
        functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        defined = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, functions)}
        assert file.stem not in defined
