"""The project's documents, taken apart: their code blocks, links, headings and tables.

A block of bash or python is run by the tests, all of a document in one folder, in order. A comment on the line before
its fence says otherwise: `<!-- not run: REASON -->`; `<!-- prefect -->`, run with Prefect's temporary server;
`<!-- file: NAME -->`, a file that the reader makes; `<!-- output -->`, lines that the block before it prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tree import ROOT

FENCE = re.compile(r"^```(\w*)$")
MARK = re.compile(r"^<!-- (.+) -->$")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
INLINE_CODE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")


@dataclass(frozen=True)
class Block:
    """One fenced block. `mark` is the comment before it, "" for none; `line` is that of its fence."""

    document: str
    line: int
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.document}, line {self.line}"

    @property
    def file_name(self) -> str | None:
        kind, _, name = self.mark.partition(": ")
        return name if kind == "file" else None

    @property
    def is_skipped(self) -> bool:
        return self.mark.startswith("not run")

    @property
    def needs_prefect(self) -> bool:
        return self.mark == "prefect"

    @property
    def is_output(self) -> bool:
        return self.mark == "output"

    @property
    def is_code(self) -> bool:
        return self.language in {"bash", "python"} and not self.is_skipped


@dataclass(frozen=True)
class Document:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def blocks(self) -> list[Block]:
        return list(_blocks(self.name, self.text.splitlines()))

    @property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return re.sub(r"^```.*?^```$", "", self.text, flags=re.DOTALL | re.MULTILINE)

    @property
    def links(self) -> list[str]:
        """Where it points inside the repository."""
        return [link for link in LINK.findall(self.prose) if "://" not in link]

    @property
    def anchors(self) -> set[str]:
        """The names by which its headings are linked to, as GitHub makes them."""
        words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(self.prose))
        return {heading.strip().replace(" ", "-") for heading in words}

    @property
    def inline_code(self) -> list[str]:
        return [" ".join(code.split()) for code in INLINE_CODE.findall(self.prose)]

    def table(self, heading: str) -> list[list[str]]:
        """The cells of the rows of the first table below a heading, without the table's own heading."""
        below = re.split(rf"^#+ {re.escape(heading)}$", self.prose, maxsplit=1, flags=re.MULTILINE)[1]
        lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
        assert lines is not None, f"{self.name} has no table below {heading}"
        return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[0].splitlines()[2:]]


def documents() -> list[Document]:
    """Every document that is there, the README first."""
    found = [ROOT / "README.md", *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
    return [Document(path) for path in dict.fromkeys(found) if path.is_file()]


def document(name: str) -> Document:
    return Document(ROOT / name)


def _blocks(name: str, lines: list[str]) -> Iterator[Block]:
    numbered = iter(enumerate(lines, start=1))
    before = ""
    for number, line in numbered:
        if fence := FENCE.match(line):
            inside = []
            for _, each in numbered:
                if each == "```":
                    break
                inside.append(each)
            mark = MARK.match(before)
            yield Block(name, number, fence[1], mark[1] if mark else "", "\n".join(inside) + "\n")
        before = line
