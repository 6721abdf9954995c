"""A small disk that is really full for a while: a tmpfs, where this process may mount one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SIZE_MB: Final = 16


@dataclass(frozen=True)
class SmallDisk:
    """A mounted folder of `SIZE_MB`."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self, free_bytes: int) -> None:
        """Leaves at most so much free: less, where others write at the same time."""
        state = os.statvfs(self.folder)
        wanted = state.f_bavail * state.f_frsize - free_bytes
        with suppress(OSError), self._ballast.open("wb", buffering=0) as ballast:
            while wanted > 0:
                wanted -= ballast.write(bytes(min(wanted, 2**20)))

    def clear(self) -> None:
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk | None]:
    """Mounted at `folder` while the block runs; None where that is not permitted."""
    folder.mkdir()
    mounted = _mount(folder)
    try:
        yield SmallDisk(folder) if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "chaos", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
