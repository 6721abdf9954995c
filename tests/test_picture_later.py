"""examples/picture_later.py on a real server: a flow run gives its process back, and a webhook has it resumed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from command import wait_until
from deployed import _is_healthy as is_healthy
from prefect_trinetra.sandbox.process import running_sandbox
from receiver import TOKEN
from server_process import ServerProcess, free_ports, running
from tree import ROOT

EXAMPLE = ROOT / "examples" / "picture_later.py"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not EXAMPLE.is_file(), reason="examples/ is not here")]


def test_a_webhook_resumes_the_run_that_waits(tmp_path: Path) -> None:
    """One order, one picture; in between nothing runs."""
    server_port, receiver_port = free_ports(2)
    api_url = f"http://127.0.0.1:{server_port}/api"
    environment = {
        "PREFECT_HOME": str(tmp_path / "home"),
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "TRINETRA_WEBHOOK_TOKEN": TOKEN,
    }
    python = [sys.executable, "-m"]
    serve = [*python, "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(server_port)]
    receive = [*python, "prefect_trinetra", "webhooks", "serve", "--port", str(receiver_port)]
    receiver_url = f"http://127.0.0.1:{receiver_port}"
    client = SyncPrefectClient(api_url)

    def is_deployed() -> bool:
        return len(client.read_deployments()) == 2 and len(client.read_automations()) == 1

    with (
        running_sandbox(job_seconds=12, job_sigma=0, pixels=32, webhook_url=f"{receiver_url}/webhooks/{TOKEN}") as shop,
        running(ServerProcess(serve, lambda: is_healthy(api_url), tmp_path / "server", environment)),
        running(ServerProcess(receive, lambda: is_healthy(receiver_url), tmp_path / "receiver", environment)),
    ):
        account = {"TRINETRA_API_KEY": shop.api_key, "TRINETRA_BASE_URL": shop.url}
        example = [sys.executable, str(EXAMPLE), str(tmp_path / "pictures")]
        with client, running(ServerProcess(example, is_deployed, tmp_path / "example", environment | account)):
            ordered = client.read_deployment_by_name("picture-later/webhooks")
            run_id = client.create_flow_run_from_deployment(ordered.id).id

            def state() -> str:
                found = client.read_flow_run(run_id).state
                assert found is not None
                assert found.name not in {"Failed", "Crashed"}, (tmp_path / "example").read_text()[-3000:]
                return found.name or ""

            wait_until(lambda: state() == "Suspended", "the run gave its process back", pause_seconds=0.2)
            assert "waits-for-webhook" in client.read_flow_run(run_id).tags
            wait_until(lambda: state() == "Completed", "the webhook resumed it", pause_seconds=0.2)
        assert (shop.bill()["submits"], shop.bill()["downloads"]) == (1, 1)
    assert len([*(tmp_path / "pictures").rglob("*.png")]) == 1
