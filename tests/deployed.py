"""A real Prefect server and a process worker, each in a process of its own, with deployments/ on them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from command import wait_until
from prefect_trinetra.sandbox.process import SandboxHandle
from server_process import ServerProcess, free_ports, running
from tree import ROOT

# Far above what a run takes to start in a process of its own, on a busy machine too.
RUN_SECONDS = 180.0
POOL = "images"
SAVE_BLOCKS = """
import sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect_trinetra import DatasetStorage, TrinetraCredentials
key, url, root, told = sys.argv[1:]
TrinetraCredentials(api_key=key, base_url=url).save("prod")
DatasetStorage(root=root).save("prod")
CustomWebhookNotificationBlock(name="team", url=told, json_data={"text": "{{subject}} {{body}}"}).save("team")
"""


@dataclass(frozen=True)
class Server:
    """A Prefect server in a process of its own."""

    url: str
    environment: dict[str, str]
    home: Path

    def client(self) -> SyncPrefectClient:
        return SyncPrefectClient(self.url)

    def command(self, *words: str, seconds: float = RUN_SECONDS) -> str:
        """Runs a program of this Python against the server, for so many seconds at most; its output."""
        done = subprocess.run(
            [sys.executable, *words],
            env=os.environ | self.environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, deployment: str, **parameters: Any) -> UUID:
        """What the run form does: a run of the deployment (FLOW/NAME) with some parameters changed."""
        with self.client() as client:
            found = client.read_deployment_by_name(deployment)
            return client.create_flow_run_from_deployment(found.id, parameters=found.parameters | parameters).id

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What the UI does, where the client has no word for it."""
        return _posted(self.url, path, body)

    def wait_for(self, flow_run_id: UUID, *states: str) -> FlowRun:
        """The run once it is in one of these states."""
        with self.client() as client:

            def is_there() -> bool:
                state = client.read_flow_run(flow_run_id).state
                assert state is not None
                lost = state.is_final() and state.name not in states
                assert not lost, f"{state.name}: {state.message}\n{(self.home / 'worker.log').read_text()[-3000:]}"
                return state.name in states

            wait_until(is_there, f"the run is {' or '.join(states)}", pause_seconds=0.2)
            return client.read_flow_run(flow_run_id)


@dataclass(frozen=True)
class Orchestra(Server):
    """A server, and what is deployed on it."""

    sandbox: SandboxHandle
    data: Path
    """The root of the storage block."""
    messages: list[str]
    """What the person was told for whom there is a block."""


def processes_of(flow_run_id: UUID) -> list[int]:
    """The processes of a flow run on this machine."""
    mark = f"PREFECT__FLOW_RUN_ID={flow_run_id}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it is another's, or has ended
            found += [int(folder.name)] if mark in (folder / "environ").read_bytes().split(b"\0") else []
    return found


@contextlib.contextmanager
def running_server(home: Path, **settings: str) -> Iterator[Server]:
    """A server alone; `settings` are Prefect's, such as PREFECT_SERVER_LOGGING_LEVEL."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # Who died is waited for: 3 s until it looks dead, and 2 s more.
        "TRINETRA_LEASE_SECONDS": "3",
        **settings,
    }
    serve = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running(ServerProcess(serve, lambda: _is_healthy(url), home / "server.log", environment)):
        yield Server(url, environment, home)


def deploy_all(server: Server, sandbox: SandboxHandle, data: Path, told: str) -> None:
    """A work pool, blocks and deployments/. `data` is the root of the storage, `told` takes the messages."""
    server.command("-m", "prefect", "work-pool", "create", "--type", "process", POOL)
    server.command("-c", SAVE_BLOCKS, sandbox.api_key, sandbox.url, str(data), told)
    server.command("-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml")


@contextlib.contextmanager
def running_orchestra(home: Path, sandbox: SandboxHandle, data: Path) -> Iterator[Orchestra]:
    """Server, blocks, deployments and worker."""
    with running_server(home) as server, _told() as (told, messages):
        deploy_all(server, sandbox, data, told)
        work = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", "tester"]
        worker = ServerProcess(work, lambda: _has_worker(server.url), home / "worker.log", server.environment)
        with running(worker):
            yield Orchestra(server.url, server.environment, server.home, sandbox, data, messages)


@contextlib.contextmanager
def _told() -> Iterator[tuple[str, list[str]]]:
    """Where the person who is told reads: its address, and what was said."""
    messages: list[str] = []

    class Told(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["content-length"])))["text"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's word
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", messages
    finally:
        server.shutdown()
        server.server_close()


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310  # loopback
            return bool(answer.status == 200)
    except OSError:
        return False


def _has_worker(url: str) -> bool:
    return bool(_posted(url, f"work_pools/{POOL}/workers/filter", {}))


def _posted(url: str, path: str, body: dict[str, Any]) -> Any:
    """The answer of the API at `url`; asked again, as Prefect's own programs do, while its database is locked (503)."""
    with SyncPrefectClient(url) as client:
        return client._client.post(f"/{path}", json=body).raise_for_status().json()
