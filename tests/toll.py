"""What a run asks of Prefect's server: calls of the API by its access log, events and logs by its database."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from command import wait_until
from deployed import Server, running_server
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.sandbox.process import SandboxHandle

CALL = re.compile(r'"(GET|POST|PUT|PATCH|DELETE|WebSocket) (/api/[^ "?]*)')
IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
# The last event of a run, whatever became of it.
ENDED = re.compile(r"prefect\.flow-run\.(Completed|LeftOver|Failed|Crashed)")
# Of the largest run that a benchmark counts.
MOST_SECONDS = 3_600.0
RUN = """
import sys
from pydantic import SecretStr
from prefect_trinetra import RunLimits, TrinetraCredentials, generate_dataset
key, url, manifest, dataset, shard_size = sys.argv[1:]
report = generate_dataset(
    manifest, dataset, TrinetraCredentials(api_key=SecretStr(key), base_url=url), row_tasks=0,
    limits=RunLimits(shard_size=int(shard_size)), tolerated_failures=0.1,
)
print(report.model_dump_json())
"""


@dataclass(frozen=True)
class Toll:
    """What one run asked for."""

    report: DatasetReport
    calls: Counter[str] = field(default_factory=Counter)
    """By method and path, ids left out. A WebSocket counts once, when it is opened."""
    events: Counter[str] = field(default_factory=Counter)
    logs: int = 0

    @property
    def events_and_logs(self) -> int:
        return self.events.total() + self.logs


@dataclass(frozen=True)
class _Kept:
    events: Counter[str]
    logs: int


@dataclass
class TollGate:
    """A server that nobody uses but the runs that are counted."""

    orchestra: Server

    def run(self, sandbox: SandboxHandle, dataset: Path, prompts: Sequence[str], shard_size: int) -> Toll:
        """What a run of these prompts asks for, in a process of its own."""
        manifest = dataset.with_suffix(".txt")
        manifest.write_text("".join(f"{prompt}\n" for prompt in prompts))
        log, before = self._log.stat().st_size, self._kept()
        words = (sandbox.api_key, sandbox.url, str(manifest), str(dataset), str(shard_size))
        said = self.orchestra.command("-c", RUN, *words, seconds=MOST_SECONDS)
        report = DatasetReport.model_validate_json(said.splitlines()[-1])
        after = self._settled(before)
        calls = Counter(f"{method} {IDS.sub('ID', path)}" for method, path in CALL.findall(self._read_from(log)))
        return Toll(report, calls, after.events - before.events, after.logs - before.logs)

    @property
    def _log(self) -> Path:
        return self.orchestra.home / "server.log"

    def _read_from(self, position: int) -> str:
        with self._log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def _kept(self) -> _Kept:
        """All that the server has stored so far."""
        with closing(sqlite3.connect(f"file:{self.orchestra.home / 'prefect.db'}?mode=ro", uri=True)) as database:
            events = Counter(dict(database.execute("SELECT event, count(*) FROM events GROUP BY event")))
            ((logs,),) = database.execute("SELECT count(*) FROM log")
        return _Kept(events, logs)

    def _settled(self, before: _Kept) -> _Kept:
        """What is stored once the run's last event is there and nothing more comes: the server stores in batches."""
        seen = [before]

        def is_settled() -> bool:
            seen.append(self._kept())
            new = seen[-1].events - before.events
            return seen[-1] == seen[-2] and any(ENDED.match(name) for name in new)

        wait_until(is_settled, "the run's events are stored", pause_seconds=3.0)
        return seen[-1]


@contextmanager
def running_toll_gate(home: Path) -> Iterator[TollGate]:
    """The server writes every call of its API into its log."""
    with running_server(home, PREFECT_SERVER_LOGGING_LEVEL="INFO") as orchestra:
        yield TollGate(orchestra)
