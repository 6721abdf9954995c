"""`webhooks serve`: it says what is missing, and ends when told."""

from __future__ import annotations

import signal
import subprocess
import urllib.request

import pytest

from command import COMMAND, PATIENCE_SECONDS, environment

pytestmark = pytest.mark.slow

TOKEN = {"TRINETRA_WEBHOOK_TOKEN": "a-token-that-is-long-enough-for-a-test"}
# Nobody listens there: events wait until somebody does.
SERVER = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (SERVER, "there is no webhook token: set TRINETRA_WEBHOOK_TOKEN to what"),
        (SERVER | {"TRINETRA_WEBHOOK_TOKEN": "1234"}, "the webhook token has to be 24 to 256 letters"),
        (TOKEN, "there is no Prefect server to send events to: set PREFECT_API_URL"),
    ],
)
def test_what_is_missing_is_said(variables: dict[str, str], said: str) -> None:
    """Exit status 2 and one sentence, without the token."""
    done = subprocess.run(
        [COMMAND, "webhooks", "serve", "--port", "0"],
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "1234" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    """Its first line says where; a Prefect server that is away does not keep it from taking webhooks or from ending."""
    with subprocess.Popen(
        [COMMAND, "webhooks", "serve", "--port", "0"],
        env=environment() | TOKEN | SERVER,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as receiver:
        assert receiver.stdout is not None
        url = receiver.stdout.readline().split()[-1].replace("TOKEN", TOKEN["TRINETRA_WEBHOOK_TOKEN"])
        asked = urllib.request.Request(url, b'{"id": "job_1"}', {"content-type": "application/json"})  # noqa: S310  # ours
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310  # loopback
            assert answer.status == 202
        receiver.send_signal(number)
        assert receiver.wait(timeout=PATIENCE_SECONDS) == 0
