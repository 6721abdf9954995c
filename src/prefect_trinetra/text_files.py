"""Manifests in text, a line at a time: JSON Lines and plain prompts (CSV and TSV: see `separated_files`)."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

import orjson
import pyarrow as pa

from prefect_trinetra.columns import ColumnTypes
from prefect_trinetra.errors import ManifestError
from prefect_trinetra.inputs import BUFFER_BYTES, file_name, open_input, shown_url

__all__ = ["Digest", "JsonLinesFile", "PlainTextFile", "RawRow", "TextFile", "named_row", "without_line_end"]

# Far above any prompt with its columns; a line without end would fill the memory.
MAX_LINE_BYTES: Final = 16 * 2**20
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Digest(Protocol):
    """What is told every byte that is read, so that a plan can tell later that its manifest changed."""

    def update(self, data: bytes, /) -> None: ...


class RawRow(NamedTuple):
    """A row as it stands in its file. `problem` says why its cells can't be told apart, else None."""

    place: str
    cells: dict[str, Any]
    problem: str | None = None


class TextFile:
    """What text formats share: lines of UTF-8, counted from 1."""

    def __init__(self, url: str, options: Mapping[str, Any] | None) -> None:
        self.name = shown_url(url)
        self._url = url
        self._options = options

    def lines(self, digest: Digest | None) -> Iterator[str]:
        """Every line with its end. Raises ManifestError for other encodings and files that break off."""
        for before, block in self._told(digest):
            # one call for many lines; unlike str.splitlines, this ends lines at line feeds alone
            yield from io.StringIO(self._decoded(block, before), newline="\n")

    def skim(self, digest: Digest) -> None:
        """Tells the digest what `lines` tells it, and looks at no line."""
        for _ in self._told(digest):
            pass

    def _told(self, digest: Digest | None) -> Iterator[tuple[int, bytes]]:
        with open_input(self._url, self._options) as file:
            plain = _gunzipped(file) if file_name(self._url).endswith(".gz") else file
            for before, block in self._blocks(plain):
                if digest is not None:
                    digest.update(block)
                yield before, block

    def _blocks(self, file: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
        """Whole lines, as many as are at hand, and how many lines come before them."""
        before, begun = 0, b""
        try:
            while data := file.read1(BUFFER_BYTES):
                end = data.rfind(b"\n") + 1
                if len(begun) + (data.find(b"\n") if end else len(data)) > MAX_LINE_BYTES:
                    raise ManifestError(f"{self.name}: line {before + 1} is longer than 16 MiB: is this a text file?")
                block, begun = (begun + data[:end], data[end:]) if end else (b"", begun + data)
                if block:
                    yield before, block if before else block.removeprefix(BYTE_ORDER_MARK)
                before += block.count(b"\n")
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ManifestError(f"{self.name} breaks off after line {before} ({error}): compress it again") from error
        if begun:
            yield before, begun if before else begun.removeprefix(BYTE_ORDER_MARK)

    def _decoded(self, block: bytes, before: int) -> str:
        try:
            return block.decode()
        except UnicodeDecodeError as error:
            number = before + 1 + block.count(b"\n", 0, error.start)
            place = error.start - block.rfind(b"\n", 0, error.start)
            raise ManifestError(
                f"{self.name}: line {number} is not UTF-8 (byte 0x{block[error.start]:02x} at {place}): "
                "save the file as UTF-8"
            ) from error


def _gunzipped(file: io.BufferedReader) -> io.BufferedReader:
    return io.BufferedReader(gzip.GzipFile(fileobj=file), BUFFER_BYTES)


class PlainTextFile(TextFile):
    """A file in which each line is a prompt as it stands."""

    types: Mapping[str, pa.DataType | None] = {"prompt": pa.string()}

    def rows(self, digest: Digest) -> Iterator[RawRow]:
        for number, line in enumerate(self.lines(digest), start=1):
            if not line.isspace():
                yield RawRow(f"{self.name}, line {number}", {"prompt": without_line_end(line)})


def without_line_end(line: str) -> str:
    """`line` less its line feed, or carriage return and line feed; nothing else is stripped."""
    return line.removesuffix("\n").removesuffix("\r")


class JsonLinesFile(TextFile):
    """A file in which each line is a JSON object. It is read once more, before, to find its columns."""

    def __init__(self, url: str, options: Mapping[str, Any] | None) -> None:
        super().__init__(url, options)
        found = ColumnTypes()
        for _, value in self._values(None):
            if isinstance(value, dict):
                found.add(value)
        self._spellings = found.spellings
        self.types: Mapping[str, pa.DataType | None] = found.types()
        if not self.types:
            raise ManifestError(f"{self.name} has no line that is a JSON object: write one object a line, no array")

    def rows(self, digest: Digest) -> Iterator[RawRow]:
        for number, value in self._values(digest):
            yield self._row(f"{self.name}, line {number}", value)

    def _values(self, digest: Digest | None) -> Iterator[tuple[int, Any]]:
        for number, line in enumerate(self.lines(digest), start=1):
            if not line.isspace():
                try:
                    yield number, orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    yield number, error

    def _row(self, place: str, value: Any) -> RawRow:
        if isinstance(value, orjson.JSONDecodeError):
            return RawRow(place, {}, f"it is no JSON ({value.msg})")
        if not isinstance(value, dict):
            return RawRow(place, {}, "it is JSON, but no object: write {...} with a name for each value")
        return named_row(place, value, self._spellings)


def named_row(place: str, value: Mapping[str, Any], spellings: Mapping[str, str]) -> RawRow:
    """The row of a mapping, whose names may be spelled in any known way. Raises ManifestError for others."""
    try:
        cells = {spellings[name]: cell for name, cell in value.items()}
    except KeyError as error:
        raise ManifestError(
            f"{place}: column {error} was not there before: the file changed while it was read"
        ) from error
    if len(cells) < len(value):
        return RawRow(place, cells, f"two of its names differ in case or space only: {', '.join(value)}")
    return RawRow(place, cells)
