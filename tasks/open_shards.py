"""The shards that this process works on at the moment: how far they are, and a way to stop them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

from prefect_trinetra.engine import ShardReport
from prefect_trinetra.loop import io_loop
from prefect_trinetra.progress import Progress
from prefect_trinetra.window import ShardOrder

__all__ = ["rows_done", "stop_shards", "work_openly"]


@dataclass(frozen=True, eq=False)
class _OpenShard:
    run_id: str
    progress: Progress
    task: asyncio.Task[Any]


_open: Final[set[_OpenShard]] = set()


async def work_openly(order: ShardOrder, progress: Progress, work: Coroutine[Any, Any, ShardReport]) -> ShardReport:
    """Does the work so that others in this process see how far it is, and can stop it. Runs on the I/O loop."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a shard is worked on inside an asyncio task")
    shard = _OpenShard(order.run_id, progress, task)
    _open.add(shard)
    try:
        return await work
    finally:
        _open.discard(shard)


def rows_done(run_id: str) -> int:
    """Rows with an outcome in the shards of a run that are open in this process."""
    return sum(shard.progress.done for shard in tuple(_open) if shard.run_id == run_id)


def stop_shards(run_id: str) -> None:
    """Ends a run's shards in this process: answers under way are still journaled, the next run collects the jobs."""
    io_loop().run(_stop(run_id))


async def _stop(run_id: str) -> None:
    tasks = [shard.task for shard in _open if shard.run_id == run_id]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
