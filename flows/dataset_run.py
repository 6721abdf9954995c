"""One flow run of a dataset: its plan, a window of shards in flight, its end."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import Final

from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed

from prefect_trinetra.blocks.credentials import TrinetraCredentials, account_of
from prefect_trinetra.blocks.storage import StorageBlock
from prefect_trinetra.engine import ShardReport
from prefect_trinetra.errors import TooManyFailures, TrinetraError
from prefect_trinetra.flows.approval import approved
from prefect_trinetra.flows.arrival import MissingManifest, has_arrived
from prefect_trinetra.flows.crews import Crew, Ended, TaskCrew
from prefect_trinetra.flows.pool import PoolCrew
from prefect_trinetra.flows.twins import stop_sign
from prefect_trinetra.holdings import Holding
from prefect_trinetra.plan import Plan
from prefect_trinetra.preparation import plan_only
from prefect_trinetra.report import DatasetReport, idle_report, planned_report
from prefect_trinetra.run import hold, new_run_id
from prefect_trinetra.settings import DEFAULT_BASE_URL, load_settings
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage import Storage
from prefect_trinetra.tasks.artifacts import ProgressBar
from prefect_trinetra.tasks.assets import asset_of
from prefect_trinetra.tasks.dataset import plan_dataset, publishing
from prefect_trinetra.tasks.global_rate import check_rate_limit
from prefect_trinetra.tasks.pictures import shown_sheet
from prefect_trinetra.tasks.run_page import show_run, show_summary
from prefect_trinetra.tenancy import Tenancy
from prefect_trinetra.window import Prepared, ShardWindow

__all__ = ["DEFAULT_ROW_TASKS", "DatasetRun", "RunStopped", "finished"]

# Up to so many rows each step is a task run of its own: three of them cost Prefect what the row itself costs.
DEFAULT_ROW_TASKS: Final = 50
# A time-out or a cancellation is seen between two waits.
WAIT_SLICE_SECONDS: Final = 1.0


class RunStopped(TrinetraError):
    """The flow run was cancelled: what is in flight stays journaled, and the next run goes on with it."""


@dataclass
class DatasetRun:
    """Carries out a spec inside a flow run.

    `row_tasks` is the largest run whose rows are task runs; None means 50. A plan that may cost more than
    `approve_above` credits waits for a person; None asks nobody.
    """

    spec: RunSpec
    credentials: TrinetraCredentials | None = None
    storage: StorageBlock | None = None
    row_tasks: int | None = None
    missing_manifest: MissingManifest = "fail"
    approve_above: float | None = None
    shards_in_flight: int | None = None
    shard_deployment: str | None = None
    rate_limit: str | None = None
    run_id: str = field(default_factory=lambda: flow_run.get_id() or new_run_id())
    _stopped: threading.Event = field(default_factory=stop_sign)

    def plan(self) -> State[DatasetReport]:
        """What a run would do. Needs no account, sends nothing, writes nothing into the dataset."""
        if not has_arrived(self.spec, self.missing_manifest, self.pause):
            return self._skipped()
        report = planned_report(self._plan(), self._dataset_url)
        show_summary(report)
        return Completed(name="Planned", message=_planned_sentence(report), data=report)

    def carry_out(self) -> State[DatasetReport]:
        """The whole run. Raises TooManyFailures, with the report, above the tolerated share of failures."""
        if not has_arrived(self.spec, self.missing_manifest, self.pause):
            return self._skipped()
        if self.approve_above is not None:
            self.spec = approved(self.spec, self.approve_above, self._shown_plan)
        report = self.make()
        show_run(self.spec, report, shown_sheet(self.spec))
        return finished(report)

    def make(self) -> DatasetReport:
        """Plans, works on every shard that the cap lets in, publishes."""
        self._say_where()
        if self.rate_limit is not None:
            check_rate_limit(self.rate_limit)
        crew = self._crew()
        crew.finish_earlier(self.run_id, self.check)
        with hold(self.spec, load_settings(), self.run_id, self._say_waiting) as tenant:
            return self._make(tenant, crew)

    def _make(self, tenant: Tenancy, crew: Crew) -> DatasetReport:
        started = time.monotonic()
        prepared = plan_dataset(self.spec, self.run_id, self.credentials, generation=tenant.generation)
        storage = Storage.open(self.spec.dataset, self.spec.storage_options)
        with ShardWindow.open(storage, prepared, self.spec, in_flight=crew.in_flight) as window:
            _Drive(self, window, prepared, tenant, crew).to_the_end()
            left_over, stopped, made = window.left_over, window.stopped, window.images
        seconds = time.monotonic() - started
        tenant.check()
        publish = publishing(asset_of(storage.url))
        return publish(self.spec, prepared.plan, left_over, stopped=stopped, images_made=made, seconds=seconds)

    def check(self) -> None:
        """Raises RunStopped once the async flow around this thread was cancelled."""
        if self._stopped.is_set():
            raise RunStopped("the flow run was cancelled; run it again to go on: what was ordered is collected")

    def pause(self, seconds: float) -> None:
        """Waits so long, unless the flow run is stopped. Raises RunStopped."""
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            self._stopped.wait(min(left, WAIT_SLICE_SECONDS))
            self.check()

    def _crew(self) -> Crew:
        blocks = self.credentials, self.storage
        if self.shard_deployment is not None:
            return PoolCrew(self.spec, self.shard_deployment, *blocks, self.shards_in_flight)
        return TaskCrew(self.spec, self.run_id, *blocks, self.shards_in_flight)

    @property
    def _dataset_url(self) -> str:
        return Storage.open(self.spec.dataset, self.spec.storage_options).url

    def _plan(self) -> Plan:
        settings = load_settings()
        known_account = self.credentials is not None or settings.api_key is not None
        return plan_only(self.spec, account_of(self.credentials) if known_account else None, settings)

    def _shown_plan(self) -> Plan:
        """The plan, on the page of the flow run for who is asked about it."""
        plan = self._plan()
        show_summary(planned_report(plan, self._dataset_url))
        return plan

    def _skipped(self) -> State[DatasetReport]:
        report = idle_report(self._dataset_url, self.run_id, "the manifest is not there yet: nothing was done")
        get_run_logger().info(report.remarks[0])
        return Completed(name="NoManifest", message=report.remarks[0], data=report)

    def _say_waiting(self, holding: Holding | None) -> None:
        who = holding.words if holding is not None else "another run"
        get_run_logger().info("waiting for %s, which is at work in %s", who, self.spec.dataset)

    def _say_where(self) -> None:
        base_url = account_of(self.credentials).base_url
        if base_url != DEFAULT_BASE_URL:
            get_run_logger().info("ordering from %s, not the provider's own address", base_url)


def finished(report: DatasetReport) -> State[DatasetReport]:
    """The flow run's final state; whoever called the flow gets the report. Raises TooManyFailures."""
    if not report.within_tolerance:
        raise TooManyFailures(report)
    done = report.rows - report.failures - report.left_over
    message = f"{done:,} of {report.rows:,} rows, {report.images:,} images, {report.credits_charged:g} credits"
    return Completed(name=report.state_name(), message=message, data=report)


def _planned_sentence(report: DatasetReport) -> str:
    return f"{report.images:,} images to make for at most {report.credits_bound:g} credits; nothing was sent"


class _Drive:
    """Keeps the window of a run full until nothing more is let in and nothing is in flight."""

    def __init__(self, run: DatasetRun, window: ShardWindow, prepared: Prepared, tenant: Tenancy, crew: Crew) -> None:
        plan = prepared.plan
        to_do = plan.to_buy + plan.to_collect
        self._run = run
        self._tenant = tenant
        self._window = window
        self._crew = crew
        self._row_tasks = to_do <= (DEFAULT_ROW_TASKS if run.row_tasks is None else run.row_tasks)
        self._bar = ProgressBar(run.spec.dataset, to_do)
        self._in_flight = 0
        self._rows_settled = 0

    def to_the_end(self) -> None:
        try:
            while self._fill():
                self._wait()
        except BaseException:
            # Those of other processes go on for a while, and are not waited for. Said first: to stop them may fail.
            self._tenant.quiet = self._tenant.quiet and self._crew.works_here
            self._crew.stop()
            raise
        else:
            self._show(last=True)
        finally:
            self._bar.close()

    def _fill(self) -> bool:
        """Submits shards as long as the window takes any; whether something is in flight."""
        self._run.check()
        while order := self._window.next_order():
            self._crew.take(replace(order, rate_limit=self._run.rate_limit), row_tasks=self._row_tasks)
            self._in_flight += 1
        return self._in_flight > 0

    def _wait(self) -> None:
        """Waits for shards to end."""
        ended: list[Ended] = []
        while not ended:
            self._show()
            self._run.check()
            ended = self._crew.ended(WAIT_SLICE_SECONDS)
        for each in ended:
            self._in_flight -= 1
            self._settle(each)

    def _settle(self, ended: Ended) -> None:
        if isinstance(ended, ShardReport):
            self._rows_settled += ended.rows
            self._window.settle(ended)
        else:
            get_run_logger().error("a shard broke off, nothing more is submitted: %r", ended)
            self._window.lost(ended)
            # Prefect may have lost sight of a worker that is still at it.
            self._tenant.quiet = self._tenant.quiet and self._crew.works_here

    def _show(self, *, last: bool = False) -> None:
        self._bar.show(self._rows_settled + self._crew.rows_done(), last=last)
