"""Manifests for tests, and what is read out of them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect_trinetra.manifest import Manifest, ManifestRow
from prefect_trinetra.request import ImageRequest


def written(path: Path, content: str | bytes) -> str:
    """The path of a file with this content, gzipped where its name says so."""
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def read(source: Any, **options: Any) -> list[ManifestRow]:
    """All rows of a manifest."""
    return list(Manifest.open(source, **options).rows())


def requests(rows: Sequence[ManifestRow]) -> list[ImageRequest]:
    """The requests of rows that are all valid."""
    assert [row.error for row in rows] == [None] * len(rows)
    return [row.request for row in rows if row.request is not None]


def prompts(rows: Sequence[ManifestRow]) -> list[str]:
    """The prompts of rows that are all valid."""
    return [request.prompt for request in requests(rows)]


def error(rows: Sequence[ManifestRow]) -> str:
    """The reason of the only row, which is a bad one."""
    assert len(rows) == 1
    assert rows[0].request is None
    assert rows[0].error is not None
    return rows[0].error
