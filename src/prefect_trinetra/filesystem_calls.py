"""What a file system of fsspec can do by itself, and how it is called: the base classes declare more than there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import fsspec
from fsspec.asyn import AsyncFileSystem

from prefect_trinetra.threads import in_thread

__all__ = ["called", "can_move", "finds"]

# The asynchronous base class only declares these: a backend without its own has the synchronous ones.
DECLARED_ONLY: Final = frozenset({"pipe_file", "cat_file"})


async def called(
    fs: fsspec.AbstractFileSystem, name: str, *args: Any, seconds: float | None = None, **options: Any
) -> Any:
    """What the call `name` returns or raises, on any event loop.

    Past `seconds` it is given up, but for one that blocks: that ends by itself in its thread, cancelled or not.
    """
    coroutine = _native(fs, name)
    if coroutine is None:
        return await in_thread(partial(_blocking(fs, name), *args, **options))
    async with asyncio.timeout(seconds):
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine(*args, **options), fs.loop))


def _native(fs: fsspec.AbstractFileSystem, name: str) -> Callable[..., Coroutine[Any, Any, Any]] | None:
    """The backend's own coroutine function for `name`, or None where it has only the blocking one."""
    if not fs.async_impl:
        return None
    if name in DECLARED_ONLY and getattr(type(fs), f"_{name}") is getattr(AsyncFileSystem, f"_{name}"):
        return None
    own: Callable[..., Coroutine[Any, Any, Any]] | None = getattr(fs, f"_{name}", None)
    return own


def _blocking(fs: fsspec.AbstractFileSystem, name: str) -> Callable[..., Any]:
    """The call of that name that waits, for a thread of its own."""
    if fs.async_impl and name in DECLARED_ONLY:
        # what the instance shows under that name would call the missing coroutine
        return partial(getattr(fsspec.AbstractFileSystem, name), fs)
    own: Callable[..., Any] = getattr(fs, name)
    return own


def can_move(fs: fsspec.AbstractFileSystem) -> bool:
    """Whether it renames. fsspec's general way is to copy and delete, which shows half a file as well."""
    return hasattr(fs, "_mv") or type(fs).mv is not fsspec.AbstractFileSystem.mv


def finds(fs: fsspec.AbstractFileSystem) -> bool:
    """Whether it lists a whole tree in its own way: fsspec's passes in silence over folders that it can't read."""
    name, base = ("_find", AsyncFileSystem) if fs.async_impl else ("find", fsspec.AbstractFileSystem)
    return getattr(type(fs), name) is not getattr(base, name)
