"""`demo`: from a manifest to a dataset through Prefect, against the sandbox: no key, no cost, nothing left running."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from rich.text import Text

from prefect_trinetra.cli.exits import Exit
from prefect_trinetra.cli.figures import clock, counted, credits_text
from prefect_trinetra.cli.miniature import miniature
from prefect_trinetra.cli.outcome_table import bullets, reason_sentences, report_table
from prefect_trinetra.cli.stages import Stages
from prefect_trinetra.cli.terminal import Terminal
from prefect_trinetra.contact_sheet import contact_sheet
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.gallery.writing import write_gallery
from prefect_trinetra.ledger import CREDIT_GRAIN
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.storage import Storage
from prefect_trinetra.survey import Survey, survey

__all__ = ["run_demo"]

FOLDER: Final = "trinetra-demo"
# Long enough that orders are seen in flight, short enough for somebody who watches.
JOB_SECONDS: Final = 1.5
PIXELS: Final = 768
# The manifest holds one invalid row and one that is refused, of 27.
TOLERATED_FAILURES: Final = 0.1
# Prefect's own 20 s are too few on a busy machine.
SERVER_START_SECONDS: Final = 120


@dataclass(frozen=True)
class DemoFolder:
    """Where a demo puts what it makes."""

    path: Path

    @property
    def manifest(self) -> Path:
        return self.path / "prompts.csv"

    @property
    def dataset(self) -> Path:
        return self.path / "dataset"

    @property
    def sheet(self) -> Path:
        """Beside the dataset, not in it: whatever reads the folder as images would take it for one more."""
        return self.path / "contact-sheet.png"


def run_demo(folder: str | None, terminal: Terminal, *, verbose: bool) -> Exit:
    """Plays the whole thing once, and then once more to show that it is free."""
    place = _new_folder(folder)
    started = time.monotonic()
    stages = Stages(terminal)
    terminal.note(f"The prompts in {place.manifest} become a dataset, through Prefect, without a key and without cost.")
    with _own_prefect(verbose=verbose), running_sandbox(job_seconds=JOB_SECONDS, pixels=PIXELS) as sandbox:
        stages.done(f"a sandbox plays the provider at {sandbox.url}: same API, no cost")
        with _environment({"TRINETRA_API_KEY": sandbox.api_key, "TRINETRA_BASE_URL": sandbox.url}):
            report, second, sales = _two_runs(place, sandbox, stages)
        bill = sandbox.bill()
    storage = Storage.open(str(place.dataset))
    with stages.stage("drawing a contact sheet and a gallery"):
        place.sheet.write_bytes(_sheet(place.dataset))
        page = io_loop().run(write_gallery(storage)).page_url
    found = io_loop().run(survey(storage))
    demo = _Demo(place, report, second, sales, bill, found, page, time.monotonic() - started)
    _show_end(demo, terminal)
    return Exit.OK if all(kept for _, kept in demo.promises) else Exit.FAILED


@dataclass(frozen=True)
class _Demo:
    """What a demo has to show."""

    place: DemoFolder
    report: DatasetReport
    second: DatasetReport
    orders_of_second: int
    bill: Mapping[str, Any]
    found: Survey
    page: str
    seconds: float

    @property
    def promises(self) -> Sequence[tuple[str, bool]]:
        """What is promised, in words with the figures, and whether it was kept."""
        billed, charged = float(self.bill["credits"]), self.found.credits_charged
        agree = f"the sandbox's bill says {credits_text(billed)} credits, the dataset's ledger {credits_text(charged)}"
        orders = f"the second run sent {counted(self.orders_of_second, 'order')}"
        free = f"cost {credits_text(self.second.credits_charged)} credits: a finished dataset is free to rerun"
        return [
            (agree, abs(billed - charged) < CREDIT_GRAIN),
            (f"{orders} and {free}", self.orders_of_second == 0),
        ]


def _new_folder(wanted: str | None) -> DemoFolder:
    path = Path(wanted) if wanted is not None else _free_name()
    try:
        path.mkdir(parents=True)
    except FileExistsError as error:
        raise ConfigurationError(f"{path} exists already, and a demo overwrites nothing: name another") from error
    place = DemoFolder(path)
    place.manifest.write_bytes(files("prefect_trinetra.cli").joinpath("prompts.csv").read_bytes())
    return place


def _free_name() -> Path:
    names = (FOLDER if number == 1 else f"{FOLDER}-{number}" for number in count(1))
    return next(Path(name) for name in names if not Path(name).exists())


def _two_runs(place: DemoFolder, sandbox: SandboxHandle, stages: Stages) -> tuple[DatasetReport, DatasetReport, int]:
    """The reports of both runs, and how many orders the second one sent."""
    with stages.stage("starting Prefect"):
        from prefect_trinetra.flows.dataset import generate_dataset

    def run() -> DatasetReport:
        return generate_dataset(str(place.manifest), str(place.dataset), tolerated_failures=TOLERATED_FAILURES)

    with stages.stage("the flow generate-dataset, on Prefect's temporary server", lambda: _news(sandbox)):
        report = run()
    orders = sandbox.bill()["submits"]
    with stages.stage("the same flow once more"):
        second = run()
    return report, second, sandbox.bill()["submits"] - orders


def _news(sandbox: SandboxHandle) -> str:
    bill = sandbox.bill()
    if not bill["submits"]:
        return "the server starts, that takes 20 s"
    return f"{counted(bill['submits'], 'order')}, {counted(bill['images'], 'picture')}"


def _sheet(dataset: Path) -> bytes:
    names = pq.read_table(dataset / "metadata.parquet", columns=["file_name"])["file_name"].to_pylist()
    return contact_sheet([(dataset / name).read_bytes() for name in names])


def _show_end(demo: _Demo, terminal: Terminal) -> None:
    report = demo.report
    if small := miniature(demo.place.sheet.read_bytes(), terminal.results):
        terminal.show("", small)
    made = f"{counted(report.images, 'picture')} from {counted(report.rows, 'row')} in {clock(demo.seconds)}"
    odd = "  (three rows are odd on purpose: a repeated, an invalid and a refused one)"
    terminal.show("", Text.assemble((made, "bold"), (odd, "dim")), "", report_table(report), "")
    failures = [reason for reason in demo.found.reasons if reason.outcome is not Outcome.SUCCEEDED]
    terminal.show(*bullets(reason_sentences(failures)))
    proofs = [Text.assemble(("✓ ", "green") if kept else ("✗ ", "red"), words) for words, kept in demo.promises]
    terminal.show("", *proofs, "", *_what_next(demo))


def _what_next(demo: _Demo) -> Iterator[Text]:
    place = demo.place
    for goal, command in (
        ("look at it", demo.page),
        ("", str(place.sheet)),
        ("what it holds", f"prefect-trinetra status {place.dataset}"),
        ("train on it", f"prefect-trinetra export {place.dataset} {place.path / 'shards'} --format parquet"),
        ("play with it", "prefect-trinetra sandbox     (then generate, in another terminal)"),
        ("real pictures", "export TRINETRA_API_KEY=...     (and no TRINETRA_BASE_URL)"),
        ("", f"prefect-trinetra generate {place.manifest} my-dataset --max-credits 100"),
    ):
        yield Text.assemble((f"{goal:<15}", "cyan"), command)


@contextmanager
def _own_prefect(*, verbose: bool) -> Iterator[None]:
    """A Prefect that shares nothing with the user's: neither profile, server, database nor key."""
    home = tempfile.mkdtemp(prefix="trinetra-demo-")
    # Prefect stops its temporary server at exit; what is registered before that runs after it.
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    theirs = {name: None for name in os.environ if name.startswith("PREFECT_")}
    ours = {
        "PREFECT_HOME": home,
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(SERVER_START_SECONDS),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # A refused row is a failed task run to Prefect, told with its traceback; here it is part of the show.
        "PREFECT_LOGGING_LEVEL": "INFO" if verbose else "CRITICAL",
        # Its temporary server, told to end, complains of what it was just about to write.
        "PREFECT_SERVER_LOGGING_LEVEL": "INFO" if verbose else "CRITICAL",
        "DO_NOT_TRACK": "1",
    }
    with _environment({**theirs, **ours}):
        yield


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Environment variables set (or, with None, taken away) for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in changes}
    _set_environment(changes)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
