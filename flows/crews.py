"""Who works on the shards of a run: the task runner of its flow."""

from __future__ import annotations

import queue
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

from prefect_trinetra.blocks.credentials import TrinetraCredentials
from prefect_trinetra.blocks.references import reference
from prefect_trinetra.blocks.storage import StorageBlock
from prefect_trinetra.engine import ShardReport
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage_address import Address
from prefect_trinetra.tasks.open_shards import rows_done, stop_shards
from prefect_trinetra.tasks.shard import generate_shard
from prefect_trinetra.window import ShardOrder

__all__ = ["SHARDS_ELSEWHERE", "Crew", "Ended", "TaskCrew", "refuse_unfit_run"]

LOCAL_RUNNERS: Final = (ThreadPoolTaskRunner, ProcessPoolTaskRunner)
# How many workers a run keeps busy where nobody said how many there are. More wait for one; fewer leave some idle.
SHARDS_ELSEWHERE: Final = 16

Ended = ShardReport | BaseException


class Crew(Protocol):
    """Takes shards, and says what became of each."""

    in_flight: int | None
    """Shards at once; None: what keeps one process busy."""
    works_here: bool
    """Whether what it does ends with this process."""

    def take(self, order: ShardOrder, *, row_tasks: bool) -> None:
        """Has a shard worked on."""

    def ended(self, seconds: float) -> list[Ended]:
        """Shards that have ended, after a wait of at most `seconds`."""

    def rows_done(self) -> int:
        """Rows with an outcome in shards that are under way, as far as that is known here."""

    def stop(self) -> None:
        """Ends what is under way: answers are still journaled, the next run collects the jobs."""

    def finish_earlier(self, run_id: str, check: Callable[[], None]) -> None:
        """Waits for what an earlier try of this flow run has left at work; `check` raises what ends the wait."""


class TaskCrew:
    """Shards as tasks of the flow's own runner: threads, processes, or a Dask or Ray cluster.

    To other machines blocks go by name. Raises ConfigurationError, before anything is spent, for what can't go there.
    """

    def __init__(
        self,
        spec: RunSpec,
        run_id: str,
        credentials: TrinetraCredentials | None,
        storage: StorageBlock | None,
        in_flight: int | None,
    ) -> None:
        runner = _task_runner()
        self.works_here = isinstance(runner, ThreadPoolTaskRunner)
        self.in_flight = in_flight if self.works_here else in_flight or SHARDS_ELSEWHERE
        self._run_id = run_id
        self._blocks: dict[str, Any] = {"credentials": credentials, "storage": storage}
        self._queue: queue.SimpleQueue[Callable[[], Ended]] = queue.SimpleQueue()
        if not isinstance(runner, LOCAL_RUNNERS):
            refuse_unfit_run(spec, type(runner).__name__)
            self._blocks = {word: reference(block) for word, block in self._blocks.items()}

    def take(self, order: ShardOrder, *, row_tasks: bool) -> None:
        future = generate_shard.submit(order, **self._blocks, row_tasks=row_tasks)
        future.add_done_callback(lambda done: self._queue.put(partial(_told, done)))

    def ended(self, seconds: float) -> list[Ended]:
        try:
            return [self._queue.get(timeout=seconds)()]
        except queue.Empty:
            return []

    def rows_done(self) -> int:
        return rows_done(self._run_id)

    def stop(self) -> None:
        # Without this the task runner would wait for every shard before the flow run could end.
        stop_shards(self._run_id)

    def finish_earlier(self, run_id: str, check: Callable[[], None]) -> None:
        """Tasks end with their flow run; the leases of those that don't, the dataset's takes away."""


def refuse_unfit_run(spec: RunSpec, machines: str) -> None:
    """Raises ConfigurationError for what other machines can't do safely; warns of what they may not see."""
    if not spec.lease:
        raise ConfigurationError(
            f"{machines} runs shards on other machines, and without a lease (lease=False) nothing keeps two of them "
            "from buying the same row: use ThreadPoolTaskRunner (the default) or ProcessPoolTaskRunner, or a storage "
            "that can hold a lease. Nothing was sent."
        )
    address = Address.parse(spec.dataset, spec.storage_options)
    if address.protocol == "memory":
        raise ConfigurationError(
            f"{address.url} lies in the memory of this process, where {machines} can't reach it: choose a storage that "
            "all machines see, such as s3://BUCKET/FOLDER. Nothing was sent."
        )
    if address.is_local:
        get_run_logger().warning(
            "%s is a folder of this machine: every worker has to see it at the same path, or its shards fail",
            address.url,
        )


def _task_runner() -> object:
    context = FlowRunContext.get()
    return ThreadPoolTaskRunner() if context is None else context.task_runner


def _told(future: PrefectFuture[Any]) -> Ended:
    """What became of a shard; an error, too, where its runner has lost the worker."""
    try:
        ended: Ended = future.result(raise_on_failure=False)
    except Exception as error:  # noqa: BLE001  # each runner has errors of its own, and all mean that there is no report
        return error
    return ended
