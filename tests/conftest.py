"""What tests of several modules start from."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from places import Store
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from server_process import unmeasured
from stores import STORES

if TYPE_CHECKING:  # it imports Prefect, which takes seconds
    from deployed import Orchestra

# A law holds however busy the machine is.
settings.register_profile("laws", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")

# What a shell starts in the background ignores Ctrl-C, and so would all processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Servers that take long to start: one each for all modules.
SHARED_BY_MODULES = frozenset({"prefect_server", "orchestra"})
# What takes longest is begun first: in a process of its own it would else be what all wait for at the end.
LONGEST_FIRST = ("orchestra", "test_ui.py", "prefect_server", "test_storage_crash.py", "test_documents_run.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests share a process when they run in several: a module's own, and all that need one of the servers."""
    groups: dict[pytest.Item, str] = {}
    for item in items:
        shared = SHARED_BY_MODULES.intersection(getattr(item, "fixturenames", ()))
        groups[item] = min(shared, default=item.path.name)
        item.add_marker(pytest.mark.xdist_group(groups[item]))
    rank = {group: number for number, group in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(groups[item], len(rank)))


@pytest.fixture(scope="session")
def parti_prompts() -> Path:
    """PartiPrompts (google-research/parti): 1,632 real prompts in TSV with columns of their own."""
    shared = os.environ.get("TRINETRA_SHARED", str(Path(__file__).parents[2] / "shared"))
    path = Path(shared) / "data" / "PartiPrompts.tsv"
    if not path.is_file():
        pytest.skip("PartiPrompts.tsv is not here: name the folder that holds data/ in TRINETRA_SHARED")
    return path


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Prefect's temporary server, with a database and a folder of results (this one) of its own: one for all tests."""
    from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    results = tmp_path_factory.mktemp("results")
    with ExitStack() as stack:
        stack.enter_context(temporary_settings({PREFECT_LOCAL_STORAGE_PATH: results}))
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ.keys() - unmeasured().keys():
                patch.delenv(name)
            # It takes 20 s to start, more on a busy machine.
            stack.enter_context(prefect_test_harness(server_startup_timeout=120))
        yield results


@pytest.fixture(scope="session")
def orchestra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestra]:
    """A server with deployments/ on it, a worker, and a sandbox whose jobs are long enough to be caught under way."""
    from deployed import running_orchestra

    with (
        running_sandbox(job_seconds=2, job_sigma=0, pixels=32) as sandbox,
        running_orchestra(tmp_path_factory.mktemp("home"), sandbox, tmp_path_factory.mktemp("data")) as started,
    ):
        yield started


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Store]]:
    """Stores by their name, each started when it is first asked for and ended after the last test."""
    with ExitStack() as running:
        started: dict[str, Store] = {}

        def store(name: str) -> Store:
            if name not in started:
                started[name] = running.enter_context(STORES[name](tmp_path_factory.mktemp(name)))
            return started[name]

        yield store


@pytest.fixture(scope="session")
def session_shop() -> Iterator[SandboxHandle]:
    """One sandbox with quick jobs for many tests."""
    with running_sandbox(job_seconds=0.05, pixels=32, pictures="stamped") as sandbox:
        yield sandbox


@pytest.fixture
def shop(session_shop: SandboxHandle) -> SandboxHandle:
    """That sandbox, with an empty bill and without faults."""
    session_shop.reset()
    return session_shop
