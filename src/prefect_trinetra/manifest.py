"""The user's file of rows, whatever its format: read as a stream, each row once, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple, Protocol, Self

import orjson
import pyarrow as pa

from prefect_trinetra.columns import as_text, folded, match_fields, merged_type
from prefect_trinetra.errors import ConfigurationError, ManifestError
from prefect_trinetra.forms import RequestForm
from prefect_trinetra.inputs import expand_globs, file_name, is_folder, shown_url
from prefect_trinetra.listed_rows import ListedRows
from prefect_trinetra.parquet_files import ParquetManifestFile
from prefect_trinetra.request import ImageParameters, ImageRequest
from prefect_trinetra.rows import RequestBuilder
from prefect_trinetra.separated_files import SeparatedFile
from prefect_trinetra.template import PromptTemplate
from prefect_trinetra.text_files import Digest, JsonLinesFile, PlainTextFile, RawRow

__all__ = ["Manifest", "ManifestRow"]

KNOWN_ENDINGS: Final = ".csv, .tsv, .jsonl, .ndjson and .txt (each also with .gz), and .parquet"
Source = str | Sequence[str] | Sequence[Mapping[str, Any]]


class ManifestRow(NamedTuple):
    """One row. `number` counts from 1 over the whole manifest; `source` is its file and line, for messages.

    Either `form` and `prompt` are there, or `error` says in plain sentences why not. `columns` are the manifest's own.
    """

    number: int
    source: str
    form: RequestForm | None
    prompt: str
    error: str | None
    columns: dict[str, Any]

    @property
    def request(self) -> ImageRequest | None:
        """The row's request, made anew each time."""
        return None if self.form is None else self.form.filled(self.prompt)


class _Part(Protocol):
    """A file of the manifest, or the rows that were handed over instead of one.

    `skim` tells the digest all that `rows` tells it.
    """

    @property
    def name(self) -> str: ...
    @property
    def types(self) -> Mapping[str, pa.DataType | None]: ...
    def rows(self, digest: Digest) -> Iterator[RawRow]: ...
    def skim(self, digest: Digest) -> None: ...


class Manifest:
    """A manifest that was found and is understood. `schema` is that of the columns carried through."""

    schema: pa.Schema
    asked: bytes
    """How it is read: the parameters, columns and template that were given."""

    def __init__(self, parts: Sequence[_Part], builder: RequestBuilder, schema: pa.Schema, asked: bytes) -> None:
        self._parts = parts
        self._builder = builder
        self.asked = asked
        self._fingerprint: str | None = None
        self._carried = tuple(schema.names)
        self.schema = schema

    @classmethod
    def open(
        cls,
        source: Source,
        *,
        parameters: ImageParameters | None = None,
        columns: Mapping[str, str] | None = None,
        template: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Finds the files (or takes the rows) and matches their columns to the fields of a request.

        `columns` maps a field to the column that fills it (or to "": none), `template` builds prompts from
        columns instead, and `parameters` stand where a row says nothing. No row is judged yet.
        Raises ManifestError and ConfigurationError.
        """
        parts = _parts(source, storage_options)
        types = _merged_types(parts)
        mapping = columns or {}
        fields = match_fields(list(types), mapping)
        prompts = _template(template, list(types), mapping)
        if prompts is not None:
            fields.pop("prompt", None)
        else:
            _check_prompt_column(parts, fields)
        carried = [pa.field(name, kind) for name, kind in types.items() if name not in fields.values()]
        builder = RequestBuilder(fields, parameters or ImageParameters(), prompts)
        schema = pa.schema(carried)
        given = (parameters or ImageParameters()).model_dump()
        asked = orjson.dumps([given, sorted(mapping.items()), template, str(schema)])
        return cls(parts, builder, schema, asked)

    @property
    def fingerprint(self) -> str:
        """A hash of all that was read, known once `rows()` came to its end."""
        if self._fingerprint is None:
            raise RuntimeError("the fingerprint is known when rows() was read to its end")
        return self._fingerprint

    def fingerprint_now(self) -> str:
        """What the fingerprint is if the rows are read now, at a small part of the cost. Raises ManifestError."""
        told = []
        for part in self._parts:
            digest = _begun(part)
            part.skim(digest)
            told.append(digest.digest())
        return _together(told)

    def rows(self) -> Iterator[ManifestRow]:
        """Every row in order, in flat memory; a bad one comes without a request.

        Raises ManifestError where a file breaks off, or where there is no row at all.
        """
        number, told = 0, []
        for part in self._parts:
            digest = _begun(part)
            texts = [field.name for field in self.schema if field.type != part.types.get(field.name)]
            for raw in part.rows(digest):
                number += 1
                yield self._row(number, raw, texts)
            told.append(digest.digest())
        if not number:
            names = ", ".join(part.name for part in self._parts)
            raise ManifestError(f"{names} has no rows: there is nothing to do")
        self._fingerprint = _together(told)

    def _row(self, number: int, raw: RawRow, texts: Sequence[str]) -> ManifestRow:
        place, cells, problem = raw
        columns = {name: cells.get(name) for name in self._carried}
        for name in texts:
            columns[name] = as_text(columns[name])
        if problem is not None:
            return ManifestRow(number, place, None, "", problem, columns)
        try:
            form, prompt = self._builder.asked(cells)
        except ValueError as error:
            return ManifestRow(number, place, None, "", str(error), columns)
        return ManifestRow(number, place, form, prompt, None, columns)


@dataclass(frozen=True, slots=True)
class _Respelled:
    """A part whose columns are called as the first part that has them calls them."""

    part: _Part
    names: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.part.name

    @property
    def types(self) -> Mapping[str, pa.DataType | None]:
        return {self.names[name]: kind for name, kind in self.part.types.items()}

    def rows(self, digest: Digest) -> Iterator[RawRow]:
        for place, cells, problem in self.part.rows(digest):
            yield RawRow(place, {self.names[name]: cell for name, cell in cells.items()}, problem)

    def skim(self, digest: Digest) -> None:
        self.part.skim(digest)


def _begun(part: _Part) -> hashlib._Hash:
    """The digest of a part, which rows are told by, too."""
    return hashlib.sha256(part.name.encode() + b"\0")


def _together(digests: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _parts(source: Source, options: Mapping[str, Any] | None) -> list[_Part]:
    if isinstance(source, str):
        source = [source]
    if all(isinstance(entry, str) for entry in source):
        urls = [url for entry in source for url in expand_globs(str(entry), options)]
        parts = [_file(url, options) for url in urls]
    elif any(isinstance(entry, str) for entry in source):
        raise ManifestError("the manifest is a list of both files and rows: give either")
    else:
        parts = [ListedRows(source)]
    if not parts:
        raise ManifestError("the manifest is an empty list: there is nothing to do")
    return _spelled_alike(parts)


def _file(url: str, options: Mapping[str, Any] | None) -> _Part:
    name = file_name(url)
    ending = PurePosixPath(name.removesuffix(".gz")).suffix
    match ending:
        case ".csv":
            return SeparatedFile(url, options, separator=",")
        case ".tsv":
            return SeparatedFile(url, options, separator="\t")
        case ".jsonl" | ".ndjson":
            return JsonLinesFile(url, options)
        case ".txt":
            return PlainTextFile(url, options)
        case ".parquet" if not name.endswith(".gz"):
            return ParquetManifestFile(url, options)
        case _:
            raise _no_manifest(url, options)


def _no_manifest(url: str, options: Mapping[str, Any] | None) -> ManifestError:
    name = shown_url(url).rstrip("/")
    if is_folder(url, options):
        return ManifestError(f"{name} is a folder: name its files with a glob, such as {name}/*.csv")
    return ManifestError(f"{name} has no ending that says what it is: a manifest ends in {KNOWN_ENDINGS}")


def _spelled_alike(parts: Sequence[_Part]) -> list[_Part]:
    first: dict[str, str] = {}
    alike: list[_Part] = []
    for part in parts:
        names = {name: first.setdefault(folded(name), name) for name in part.types}
        alike.append(_Respelled(part, names) if any(old != new for old, new in names.items()) else part)
    return alike


def _merged_types(parts: Sequence[_Part]) -> dict[str, pa.DataType]:
    names = dict.fromkeys(name for part in parts for name in part.types)
    return {name: merged_type(part.types[name] for part in parts if name in part.types) for name in names}


def _template(text: str | None, columns: Sequence[str], mapping: Mapping[str, str]) -> PromptTemplate | None:
    if text is None:
        return None
    if any(folded(field) == "prompt" and column.strip() for field, column in mapping.items()):
        raise ConfigurationError("a template and a prompt column are both given: give the one to use")
    return PromptTemplate.parse(text, columns)


def _check_prompt_column(parts: Sequence[_Part], fields: Mapping[str, str]) -> None:
    for part in parts:
        if fields.get("prompt") not in part.types:
            wanted = fields.get("prompt", "prompt")
            raise ManifestError(
                f"{part.name} has no {wanted} column; it has {', '.join(part.types)}. "
                "Say which one holds the prompts with --column prompt=NAME, or build prompts with --template"
            )
