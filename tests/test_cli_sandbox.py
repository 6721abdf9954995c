"""`sandbox`: it says where it is and which key to use, and ends when told."""

from __future__ import annotations

import signal
from pathlib import Path

from command import started, trinetra


def test_the_sandbox_says_what_to_type_and_ends_on_ctrl_c() -> None:
    """Its two export lines can be pasted into another terminal."""
    with started("sandbox", "--port", 0, "--api-key", "my-key") as sandbox:
        assert sandbox.stdout is not None
        said = [sandbox.stdout.readline() for _ in range(4)]
        url = said[0].split()[3].rstrip(",")
        sandbox.send_signal(signal.SIGINT)
        sandbox.communicate(timeout=30)
    assert said[2].strip() == f"export TRINETRA_BASE_URL={url}"
    assert said[3].strip() == "export TRINETRA_API_KEY=my-key"
    assert sandbox.returncode == 0


def test_an_unknown_fault_is_answered_with_those_there_are(tmp_path: Path) -> None:
    """Exit status 2."""
    ended = trinetra("sandbox", "--fault", "lots_answer=0.1", cwd=tmp_path)
    assert ended.status == 2
    assert "lots_answer: there is no such field. The faults are bare_503" in ended.stderr
    assert "lost_answer" in ended.stderr


def test_a_port_that_is_taken_is_said_so() -> None:
    """Nothing is left running."""
    with started("sandbox", "--port", 0) as first:
        assert first.stdout is not None
        port = first.stdout.readline().split(":")[2].split(",")[0]
        ended = trinetra("sandbox", "--port", port)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=30)
    assert ended.status == 2
    assert "choose another --port" in ended.stderr
