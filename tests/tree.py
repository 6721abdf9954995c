"""The package as it lies on disk: from source through the three links, or as the wheel unpacked it."""

import os
from collections.abc import Iterator
from pathlib import Path

import prefect_trinetra

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(str(prefect_trinetra.__file__)).parent
LAYERS = ("blocks", "tasks", "flows")
FROM_SOURCE = PACKAGE == ROOT / "src" / "prefect_trinetra"


def source_files() -> Iterator[Path]:
    """Every Python file of the package. Path.rglob would pass by the links."""
    for folder, folders, names in os.walk(PACKAGE, followlinks=True):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        yield from (Path(folder) / name for name in sorted(names) if name.endswith(".py"))


def module_name(file: Path) -> str:
    """The name by which a file of the package is imported."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
