"""Runs that are killed, and stores that go away in mid-run: the bill is the judge, on each kind of store."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from command import PATIENCE_SECONDS, started, wait_until
from full_disk import full_disk
from places import Place, Store
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from runs import QUICK_SETTINGS, bought_twice, outcomes, prompts, run
from stores import STORES

pytestmark = pytest.mark.slow

ROWS = prompts(16)
AT_ONCE = 4
# Longer than a lease, and than any client waits between two of its own tries.
AWAY_SECONDS = 3.0
QUICK_TAKEOVER = QUICK_SETTINGS.model_copy(update={"lease_seconds": 0.5})


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxHandle]:
    with running_sandbox(job_seconds=0.2, pixels=32, pictures="stamped") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: SandboxHandle) -> SandboxHandle:
    shared_sandbox.reset()
    return shared_sandbox


def words(store: Store, place: Place, folder: Path) -> list[str]:
    """The command that buys the rows."""
    manifest, settings = folder / "rows.jsonl", folder / "settings.env"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    settings.write_text("TRINETRA_LEASE_SECONDS=0.5\n")
    lease = [] if store.has_lease else ["--no-lease"]
    pace = ["--jobs-in-flight", str(AT_ONCE), "--shard-size", "6"]
    return ["generate", str(manifest), place.url, *place.words, *lease, *pace, "--env-file", str(settings)]


def in_its_middle(sandbox: SandboxHandle, process: Popen[str], downloads: int = 4) -> None:
    """Waits until the run has stored some images, and is ordering others."""

    def is_there() -> bool:
        assert process.poll() is None, process.communicate()[1]
        return bool(sandbox.bill()["downloads"] >= downloads)

    wait_until(is_there, "images are downloaded")


def run_again(sandbox: SandboxHandle, store: Store, place: Place) -> dict[str, int]:
    again: dict[str, Any] = {"storage_options": place.options, "lease": store.has_lease}
    return outcomes(run(sandbox, ROWS, place.url, QUICK_TAKEOVER, **again))


def assert_all_is_there(sandbox: SandboxHandle, found: dict[str, int]) -> None:
    """Nothing bought twice; everything collected, but for orders whose answer nobody can know."""
    bill = sandbox.bill()
    assert bought_twice(bill) == []
    unknown = found.get("unknown", 0)
    assert found.get("succeeded", 0) + unknown == len(ROWS)
    assert unknown <= AT_ONCE
    assert bill["images"] - found["succeeded"] <= unknown


@pytest.mark.parametrize("name", ["seaweed", "gcs", "azure", "sftp", "webdav"])
def test_a_killed_run_is_gone_on_with(
    name: str, sandbox: SandboxHandle, stores: Callable[[str], Store], tmp_path: Path
) -> None:
    """Rule: after SIGKILL the next run collects what is out and orders the rest, from what is in the store alone."""
    store = stores(name)
    place = store.new_place()
    with started(*words(store, place, tmp_path), sandbox=sandbox) as process:
        in_its_middle(sandbox, process)
        process.kill()
    assert_all_is_there(sandbox, run_again(sandbox, store, place))
    submits = sandbox.bill()["submits"]
    run_again(sandbox, store, place)
    assert sandbox.bill()["submits"] == submits


@pytest.mark.parametrize(
    ("name", "way"), [("seaweed", "stopped"), ("rclone-s3", "killed"), ("webdav", "killed"), ("sftp", "killed")]
)
def test_a_store_may_go_away_for_a_while(name: str, way: str, sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: a server that is restarted, or hangs, in mid-run ends no run: nothing is lost, nothing bought twice."""
    with STORES[name](tmp_path) as store:
        assert store.server is not None
        place = store.new_place()
        with started(*words(store, place, tmp_path), sandbox=sandbox) as process:
            in_its_middle(sandbox, process)
            store.server.kill() if way == "killed" else store.server.pause()
            _let_pass(AWAY_SECONDS)
            store.server.start() if way == "killed" else store.server.resume()
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, said
        submits = sandbox.bill()["submits"]
        assert submits == len(ROWS)
        assert run_again(sandbox, store, place) == {"succeeded": len(ROWS)}
        assert_all_is_there(sandbox, {"succeeded": len(ROWS)})
        assert sandbox.bill()["submits"] == submits


@pytest.mark.parametrize(("name", "way"), [("webdav", "killed"), ("webdav", "lives"), ("sftp", "lives")])
def test_a_store_may_be_full_for_a_while(name: str, way: str, sandbox: SandboxHandle, tmp_path: Path) -> None:
    """Rule: without room no more is ordered; killed then, or given room, all that was ordered is collected."""
    (tmp_path / "files").mkdir()
    with full_disk(tmp_path / "files", megabytes=4) as disk, STORES[name](tmp_path) as store:
        place = store.new_place()
        with started(*words(store, place, tmp_path), sandbox=sandbox) as process:
            in_its_middle(sandbox, process)
            disk.fill()
            before = sandbox.bill()["submits"]
            _let_pass(2.0)
            assert sandbox.bill()["submits"] - before <= AT_ONCE
            process.kill() if way == "killed" else disk.clear()
            _, said = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == (-signal.SIGKILL if way == "killed" else 0), said
        disk.clear()
        assert_all_is_there(sandbox, run_again(sandbox, store, place))


def _let_pass(seconds: float) -> None:
    """The time itself is what is tried: how long a store is away."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= until, "time passes")
