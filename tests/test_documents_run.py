"""The documents' code runs as it stands there: a reader who follows one from top to bottom gets what it says."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from command import COMMAND, PATIENCE_SECONDS, environment
from documents import Block, Document, documents
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox

# Its examples load blocks that hold somebody's key; the README runs the same calls against the sandbox.
ONLY_READ = {"docs/prefect.md"}
# A killed run's lease is waited for, and half a minute of that teaches nothing.
QUICK_TAKEOVER = {"TRINETRA_LEASE_SECONDS": "2"}
followed = [doc for doc in documents() if doc.name not in ONLY_READ]
with_code = [doc for doc in followed if any(block.is_code and not block.needs_prefect for block in doc.blocks)]
with_flows = [doc for doc in followed if any(block.needs_prefect for block in doc.blocks)]


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxHandle]:
    # Jobs long enough for a run that docs/money.md kills in its middle.
    with running_sandbox(job_seconds=0.3, pixels=32, pictures="stamped") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: SandboxHandle) -> SandboxHandle:
    shared_sandbox.reset()
    return shared_sandbox


@dataclass
class Reader:
    """Somebody who follows a document in an empty folder, with the sandbox's account in the environment."""

    folder: Path
    sandbox: SandboxHandle
    said: str = field(default="")

    def follow(self, block: Block) -> None:
        if block.file_name:
            (self.folder / block.file_name).write_text(block.text)
        elif block.is_output:
            self._compare(block)
        elif block.is_code and not block.needs_prefect:
            self._run(block)

    def _run(self, block: Block) -> None:
        shell = ["bash", "-eu", "-o", "pipefail", "-c"]
        words = [*shell, block.text] if block.language == "bash" else [sys.executable, "-c", block.text]
        path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=environment(self.sandbox) | {"PATH": path, "COLUMNS": "120"} | QUICK_TAKEOVER,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_SECONDS,
            text=True,
            check=False,
        )
        self.said = done.stdout
        assert not done.returncode, f"{block.place} ended with {done.returncode}:\n{done.stdout}"

    def _compare(self, block: Block) -> None:
        """Every line is among those that were printed; how wide columns are does not matter."""
        printed = [" ".join(line.split()).removeprefix("• ") for line in self.said.splitlines()]
        for line in block.text.splitlines():
            assert " ".join(line.split()) in printed, f"{block.place}: {line!r} is not in\n{self.said}"


@pytest.mark.slow
@pytest.mark.skipif(not all(map(shutil.which, ("bash", "curl"))), reason="the documents' commands need bash and curl")
@pytest.mark.parametrize("doc", with_code, ids=lambda doc: doc.name)
def test_the_commands_of_a_document_run(doc: Document, sandbox: SandboxHandle, tmp_path: Path) -> None:
    """One after the other, and what is shown as their output is printed."""
    reader = Reader(tmp_path, sandbox)
    for block in doc.blocks:
        reader.follow(block)


@pytest.mark.prefect
@pytest.mark.parametrize("doc", with_flows, ids=lambda doc: doc.name)
def test_the_flows_of_a_document_run(
    doc: Document,
    sandbox: SandboxHandle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prefect_server: Path,
) -> None:
    """On Prefect's temporary server, with the files that the document has its reader make."""
    monkeypatch.setenv("TRINETRA_API_KEY", sandbox.api_key)
    monkeypatch.setenv("TRINETRA_BASE_URL", sandbox.url)
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path, sandbox)
    for block in doc.blocks:
        if block.needs_prefect:
            script = tmp_path / f"line_{block.line}.py"
            script.write_text(block.text)
            runpy.run_path(str(script), run_name="__main__")
        elif block.file_name:
            reader.follow(block)
    assert sandbox.bill()["submits"], "no flow has ordered anything"
