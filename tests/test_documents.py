"""What the documents say is so: their code runs, their links lead somewhere, their tables are those of the code."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from documents import Block, Document, document, documents
from prefect_trinetra.cli.app import app
from prefect_trinetra.columns import FIELDS
from prefect_trinetra.failures import DeadLetter
from prefect_trinetra.ledger import ATTEMPT_SCHEMA
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.reasons import MEANINGS
from prefect_trinetra.records import RECORD_SCHEMA
from prefect_trinetra.sandbox.faults import Faults
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.settings import TrinetraSettings
from runs import prompts, run

# All languages that a fence may name: a misspelled one would silently not be run.
LANGUAGES = {"", "bash", "python", "text", "csv", "json", "jsonl", "yaml", "toml", "markdown"}
MARKS = re.compile(r"not run: .+|file: \S+|output|prefect|")
COMMANDS = ("demo", "export", "gallery", "generate", "plan", "sandbox", "status", "serve")
OF_EVERY_COMMAND = {"--help", "--version"}
UNITS = {"seconds": "s", "bytes": "bytes", "pixels": "pixels", "image": "credits", "connections": "connections"}

every_document = pytest.mark.parametrize("doc", documents(), ids=lambda doc: doc.name)


def flags(command: str) -> set[str]:
    """Every name of every flag of a command."""
    home = app["webhooks"] if command == "serve" else app
    arguments = home[command].assemble_argument_collection()
    return {name for argument in arguments for name in argument.names if name.startswith("--")} | OF_EVERY_COMMAND


def named_flags(words: Iterable[str]) -> list[str]:
    return [word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z][a-z-]*(=.*)?", word)]


def command_lines(doc: Document) -> Iterator[list[str]]:
    """The words of every call of our command, in blocks and in the text."""
    blocks = [block.text.replace("\\\n", " ") for block in doc.blocks]
    for text in [*blocks, *doc.inline_code]:
        for line in text.splitlines():
            if found := re.search(r"\bprefect-trinetra .*", line):
                yield shlex.split(found[0], comments=True)[1:]


def imported_from_us(block: Block) -> Iterator[tuple[str, str]]:
    """Module and name of each import of ours in a block of Python."""
    tree = ast.parse(block.text if block.language == "python" else "")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prefect_trinetra"):
            yield from ((str(node.module), alias.name) for alias in node.names)


@every_document
def test_every_link_leads_somewhere(doc: Document) -> None:
    """To a file of the repository, and to a heading in it where one is named."""
    for link in doc.links:
        path, _, anchor = link.partition("#")
        target = (doc.path.parent / path).resolve() if path else doc.path
        assert target.exists(), f"{doc.name} points to {link}, which is not there"
        assert not anchor or anchor in Document(target).anchors, f"{doc.name}: there is no heading {link}"


@every_document
def test_every_fence_says_what_it_is(doc: Document) -> None:
    """A known language and a known mark: what is not run says why."""
    for block in doc.blocks:
        assert block.language in LANGUAGES, f"{block.place}: language {block.language}"
        assert MARKS.fullmatch(block.mark), f"{block.place}: mark {block.mark}"


@every_document
def test_every_flag_exists(doc: Document) -> None:
    """Those of a command belong to it; those named alone belong to one of the commands."""
    for words in command_lines(doc):
        command = next((word for word in words if word in COMMANDS), None)
        known = flags(command) if command else OF_EVERY_COMMAND
        assert set(named_flags(words)) <= known, f"{doc.name}: {' '.join(words)}"
    if doc.name in {"CONTRIBUTING.md", "docs/chaos.md"}:
        return  # they name other tools' flags
    ours = set().union(*map(flags, COMMANDS))
    alone = [word for code in doc.inline_code if code.startswith("--") for word in code.split()[:1]]
    assert set(named_flags(alone)) <= ours, doc.name


@every_document
def test_every_name_that_is_imported_from_us_exists(doc: Document) -> None:
    """In blocks that are not run, too."""
    for block in doc.blocks:
        for module, name in imported_from_us(block):
            assert hasattr(import_module(module), name), f"{block.place}: {module} has no {name}"


@every_document
def test_every_installation_uses_the_tried_set(doc: Document) -> None:
    """Without constraints.txt some newer releases stop Prefect's server."""
    lines = [line for line in doc.text.splitlines() if "pip install" in line]
    assert all("-c constraints.txt" in line for line in lines), doc.name


def test_the_readme_is_short() -> None:
    """What does not fit goes into docs/."""
    assert len(document("README.md").text.splitlines()) <= 250


def test_the_readme_explains_every_outcome() -> None:
    """All nine, in the order of the code."""
    table = document("README.md").table("What becomes of a row")
    assert [cells[0] for cells in table] == [outcome.value for outcome in Outcome]


def test_the_manifests_fields_are_those_of_a_request() -> None:
    """Every field that a column can fill."""
    table = document("docs/manifest.md").table("Columns")
    assert sorted(cells[0] for cells in table) == sorted(FIELDS)


def settings_table() -> str:
    rows = ["| variable | default | unit | what it is, and why |", "| --- | --- | --- | --- |"]
    for name, field in TrinetraSettings.model_fields.items():
        unit = UNITS.get(name.rpartition("_")[2], "")
        rows.append(f"| `TRINETRA_{name.upper()}` | {_shown(field.default)} | {unit} | {field.description} |")
    return "\n".join(rows)


def _shown(default: Any) -> str:
    match default:
        case None | {} | ():
            return "none"
        case bool():
            return str(default).lower()
        case float():
            return f"{default:.10g}"
        case _:
            return str(default)


def fault_table() -> str:
    rows = ["| fault | what goes wrong |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| {name} | {field.description} |" for name, field in Faults.model_fields.items())])


def class_table() -> str:
    rows = ["| class | outcome | when | what to do |", "| --- | --- | --- | --- |"]
    for each, meaning in MEANINGS.items():
        words = re.sub(r"(--retry \w+|TRINETRA_\w+)", r"`\1`", meaning.remedy)
        rows.append(f"| {each} | {meaning.outcome} | {meaning.words} | {words} |")
    return "\n".join(rows)


def test_the_classes_are_those_of_the_code() -> None:
    """Every class with its outcome, what it means and what a person can do."""
    assert f"<!-- classes -->\n{class_table()}\n" in document("docs/money.md").text


def test_the_fields_of_a_failed_row_are_described() -> None:
    """In the order of the line."""
    table = document("docs/dataset.md").table("failures.jsonl")
    assert [cells[0] for cells in table] == [field.name for field in fields(DeadLetter)]


def test_the_settings_are_those_of_the_code() -> None:
    """Every variable with its default, unit and reason."""
    assert f"<!-- settings -->\n{settings_table()}\n" in document("docs/settings.md").text


def test_the_faults_are_those_of_the_code() -> None:
    """Every switch of the sandbox."""
    assert f"<!-- faults -->\n{fault_table()}\n" in document("docs/sandbox.md").text


def test_the_bills_fields_are_those_of_the_sandbox(shop: SandboxHandle) -> None:
    """In the order in which they come."""
    table = document("docs/sandbox.md").table("The bill")
    assert [cells[0] for cells in table] == list(shop.bill())


@pytest.mark.parametrize("name", ["metadata", "rows"])
def test_the_columns_of_a_view_are_described(name: str, shop: SandboxHandle, tmp_path: Path) -> None:
    """Each with its type, in the order of the file."""
    run(shop, prompts(1), tmp_path)
    schema = pq.read_schema(tmp_path / f"{name}.parquet")
    shown = {"timestamp[us, tz=UTC]": "timestamp, UTC", "list<element: string>": "list of string"}
    columns = [[field.name, shown.get(str(field.type), str(field.type))] for field in schema]
    assert [cells[:2] for cells in document("docs/dataset.md").table(f"{name}.parquet")] == columns


@pytest.mark.parametrize(("name", "schema"), [("attempts", ATTEMPT_SCHEMA), ("records", RECORD_SCHEMA)])
def test_the_columns_of_a_part_are_described(name: str, schema: Any) -> None:
    """In the order of the file."""
    assert [cells[0] for cells in document("docs/dataset.md").table(name)] == schema.names
