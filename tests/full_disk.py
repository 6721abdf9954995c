"""A small disk that can be filled: a tmpfs, where this process may mount one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

BLOCK_BYTES = 2**16


@dataclass(frozen=True)
class FullDisk:
    """A mounted folder."""

    folder: Path

    def fill(self) -> None:
        """Leaves no room at all."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (BLOCK_BYTES, 1):
                try:
                    while ballast.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def clear(self) -> None:
        """Makes room again."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / ".ballast"


@contextmanager
def full_disk(folder: Path, megabytes: int) -> Iterator[FullDisk]:
    """Mounted at `folder` while the block runs; the test is skipped where that is not permitted."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "trinetra-tests", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here: run the tests as root")
    try:
        yield FullDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
