"""Manifests in CSV and TSV, each cell exactly as written."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from prefect_trinetra.columns import column_names
from prefect_trinetra.errors import ManifestError
from prefect_trinetra.text_files import MAX_LINE_BYTES, Digest, RawRow, TextFile, without_line_end

__all__ = ["SeparatedFile"]

# How far a quoted cell of a TSV file may run on before its quote counts as an ordinary character.
MAX_LINES_OF_A_CELL: Final = 100


class SeparatedFile(TextFile):
    """A CSV or TSV file: a header, then a record a row."""

    def __init__(self, url: str, options: Mapping[str, Any] | None, *, separator: str) -> None:
        super().__init__(url, options)
        self._separator = separator
        # the limit is the process's: it is only ever raised
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
        header = next((cells for _, cells in self._records(None)), None)
        if header is None:
            raise ManifestError(f"{self.name} is empty: its first line must name the columns")
        if isinstance(header, str) or any("\0" in cell for cell in header):
            raise ManifestError(f"{self.name}: its first line does not name columns: save it as UTF-8 text")
        if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
            raise ManifestError(
                f"{self.name} has one column, called {header[0]}: separate cells with commas in a .csv file, "
                "with tabs in a .tsv file"
            )
        self._columns = column_names(header, self.name)
        self.types: Mapping[str, pa.DataType | None] = dict.fromkeys(self._columns, pa.string())

    def rows(self, digest: Digest) -> Iterator[RawRow]:
        records = self._records(digest)
        next(records, None)
        columns, width, beginning = self._columns, len(self._columns), f"{self.name}, line "
        for line, cells in records:
            if isinstance(cells, str):
                yield RawRow(f"{beginning}{line}", {}, cells)
            else:
                problem = None if len(cells) == width else self._problem(cells)
                yield RawRow(f"{beginning}{line}", dict(zip(columns, cells, strict=False)), problem)

    def _problem(self, cells: list[str]) -> str:
        return f"it has {len(cells)} cells where the header names {len(self._columns)} columns"

    def _records(self, digest: Digest | None) -> Iterator[tuple[int, list[str] | str]]:
        """The line that each record begins in, and its cells or a sentence that says why there are none."""
        lines = self.lines(digest)
        return _tabbed(lines) if self._separator == "\t" else self._quoted(lines)

    def _quoted(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str] | str]]:
        reader = csv.reader(lines, delimiter=self._separator, strict=True)
        while True:
            begins = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield begins, self._csv_problem(begins, error)
            else:
                if cells:
                    yield begins, cells

    def _csv_problem(self, line: int, error: csv.Error) -> str:
        if "unexpected end" in str(error) or "field limit" in str(error):
            raise ManifestError(f"{self.name}: line {line} opens a quote that is never closed") from error
        if "new-line character" in str(error):
            return "it holds a bare carriage return: save the file with line feeds, or quote the cell"
        return 'a quoted cell goes on after its closing quote: write a quote inside a quoted cell twice ("")'


def _tabbed(lines: Iterator[str]) -> Iterator[tuple[int, list[str] | str]]:
    """The records of a TSV file, whose writers disagree about quotes.

    A record whose quotes are well formed throughout is unquoted, as Excel and pandas mean it; in every other
    one a quote is a character like any other.
    """
    ahead: deque[str] = deque()
    number, width = 0, 0
    while (line := ahead.popleft() if ahead else next(lines, None)) is not None:
        begins, number = number + 1, number + 1
        cells = _unquoted(line, ahead, lines, width) if '"' in line else None
        if cells is None:
            cells = without_line_end(line).split("\t")
        else:
            number += _line_ends_inside(cells)
        if cells != [""]:
            width = width or len(cells)
            yield begins, cells


def _unquoted(line: str, ahead: deque[str], lines: Iterator[str], width: int) -> list[str] | None:
    """The cells of a record with well-formed quotes, which may take further lines, or None."""
    taken = [line]

    def more() -> Iterator[str]:
        yield line
        while len(taken) <= MAX_LINES_OF_A_CELL:
            following = ahead.popleft() if ahead else next(lines, None)
            if following is None:
                return
            taken.append(following)
            yield following

    try:
        cells = next(csv.reader(more(), delimiter="\t", strict=True))
    except csv.Error:
        cells = []
    if cells and len(cells) == (width or len(cells)):
        return cells
    ahead.extendleft(reversed(taken[1:]))
    return None


def _line_ends_inside(cells: list[str]) -> int:
    return sum(cell.count("\n") for cell in cells)
