"""A store on this machine that is slow or fails when it is told to: what a bad day of a network share looks like."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

PREFIX = "troubled://"
# Far above what any test needs: only something that hangs reaches it.
PATIENCE_SECONDS = 30.0


class Trouble:
    """What is wrong with the store. `fails` is asked at each write, with the number of writes so far."""

    def __init__(self) -> None:
        self.fails: Callable[[int], bool] = lambda _: False
        self.hides = False
        """Whether no listing can be had."""
        self.writes = 0
        self.names: list[str] = []
        """Every file that came to be, in order."""
        self.tried: list[bytes] = []
        """What each write was to hold, whether it went well or not."""
        self.failed = threading.Event()
        """Set by the first write that failed."""
        self._open = threading.Event()
        self._open.set()
        self._counting = threading.Lock()

    def hold(self) -> None:
        """From now on writes wait."""
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def meet(self, data: bytes) -> None:
        """One write: it waits while writes are held, and raises OSError where it is to fail."""
        self._open.wait(PATIENCE_SECONDS)
        with self._counting:
            number, self.writes = self.writes, self.writes + 1
            self.tried.append(data)
        if self.fails(number):
            self.failed.set()
            raise OSError(errno.EIO, "the disk made a noise")


class TroubledStore(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Local files under `troubled:///folder`; all instances share one trouble."""

    protocol = "troubled"
    cachable = False
    trouble: ClassVar[Trouble] = Trouble()

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        return str(LocalFileSystem._strip_protocol(str(path).removeprefix(PREFIX)))

    def unstrip_protocol(self, name: str) -> str:
        return PREFIX + self._strip_protocol(name)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self.trouble.meet(value)
        super().pipe_file(path, value, mode=mode, **kwargs)

    def ls(self, path: str, detail: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  # as in fsspec
        if self.trouble.hides:
            raise OSError(errno.EIO, "the disk made a noise")
        return super().ls(path, detail=detail, **kwargs)

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        super().mv(path1, path2, **kwargs)
        self.trouble.names.append(self._strip_protocol(path2))


def troubled_url(folder: Path) -> str:
    """The address of a folder in the store, whose troubles start afresh."""
    fsspec.register_implementation("troubled", TroubledStore, clobber=True)
    TroubledStore.trouble = Trouble()
    return f"{PREFIX}{folder}"
