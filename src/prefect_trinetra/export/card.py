"""The dataset card: a README.md with the front matter that the Hub and the datasets library read."""

from __future__ import annotations

import re
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

import orjson
import pyarrow as pa
from jinja2 import Environment, StrictUndefined

from prefect_trinetra.export.facts import Facts, day
from prefect_trinetra.export.report import ExportReport
from prefect_trinetra.export.shards import FINGERPRINT_DIGITS
from prefect_trinetra.export.spec import ExportFormat, ExportSpec
from prefect_trinetra.export.target import DATA_FOLDER

__all__ = ["card", "data_pattern"]

TEMPLATE: Final = "card.md.jinja"
# The Hub's own steps.
SIZE_CATEGORIES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
MARKDOWN: Final = re.compile(r"([\\`*_\[\]<>|#!{}])")


def card(report: ExportReport, spec: ExportSpec, facts: Facts, columns: pa.Schema) -> str:
    """The text of the card. The dataset is named without its path, which is nobody else's business."""
    # Markdown and no HTML: `plain` is its escape.
    environment = Environment(autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    environment.filters["plain"] = plain
    text = files("prefect_trinetra.export").joinpath(TEMPLATE).read_text(encoding="utf-8")
    rendered = environment.from_string(text).render(
        front_matter=_front_matter(report, spec, facts),
        report=report,
        spec=spec,
        facts=facts,
        columns=[(field.name, str(field.type)) for field in columns],
        day=day,
        loading=_loading(report, spec.push_to_hub),
        command=_command(spec),
        version=version("prefect-trinetra"),
    )
    return f"{rendered.rstrip()}\n"


def plain(text: object) -> str:
    """Words of others, without what Markdown, a table or HTML would make of them."""
    return MARKDOWN.sub(r"\\\1", str(text).replace("\n", " "))


def data_pattern(report: ExportReport, split: str) -> str:
    """The files of a split, relative to the export's folder."""
    match ExportFormat(report.format):
        case ExportFormat.WEBDATASET:
            return f"{DATA_FOLDER}/{split}-*.tar"
        case ExportFormat.PARQUET:
            return f"{DATA_FOLDER}/{split}-*.parquet"
        case ExportFormat.IMAGEFOLDER:
            return f"{DATA_FOLDER}/{split}/**"


def _front_matter(report: ExportReport, spec: ExportSpec, facts: Facts) -> list[tuple[str, str]]:
    """Names and values; a value in JSON is YAML as well."""
    patterns = [{"split": split, "path": data_pattern(report, split)} for split in report.splits]
    values: dict[str, Any] = {
        "license": spec.licence.lower() if spec.licence else "unknown",
        "pretty_name": spec.shown_name,
        "task_categories": ["text-to-image"],
        "size_categories": [_size_category(report.images)],
        "tags": ["synthetic", "text-to-image", report.format, "croissant", "prefect-trinetra", *facts.models],
        "configs": [{"config_name": "default", "data_files": patterns}],
    }
    return [(name, orjson.dumps(value).decode()) for name, value in values.items()]


def _size_category(images: int) -> str:
    return next((name for most, name in SIZE_CATEGORIES if images < most), "n>10M")


def _loading(report: ExportReport, repository: str | None) -> str:
    """The lines of Python that load the first split: from the Hub, from a folder, or from a bucket."""
    split, home = next(iter(report.splits)), repository or report.export_url
    is_remote = repository is None and "://" in home
    if report.format == ExportFormat.WEBDATASET and repository is None:
        return _webdataset_lines(report, split, is_remote=is_remote)
    if is_remote:
        files = f"{home}/{data_pattern(report, split)}"
        words = [f'"{report.format}"', f"data_files={{{_text(split)}: {_text(files)}}}", f"split={_text(split)}"]
        return f"from datasets import load_dataset\n\nimages = load_dataset({', '.join(words)}, streaming=True)"
    return f"from datasets import load_dataset\n\nimages = load_dataset({_text(home)}, split={_text(split)})"


def _webdataset_lines(report: ExportReport, split: str, *, is_remote: bool) -> str:
    shards, digits = report.splits[split].files, report.fingerprint[:FINGERPRINT_DIGITS]
    pattern = f"{split}-{{00000..{shards - 1:05d}}}-of-{shards:05d}-{digits}.tar"
    url = _text(f"{report.export_url}/{DATA_FOLDER}/{pattern}")
    imports, opening = "import webdataset\n\n", ""
    if is_remote:
        imports = f"import fsspec\n{imports}"
        scheme = _text(report.export_url.partition("://")[0])
        opening = f"webdataset.gopen_schemes[{scheme}] = lambda url, mode, bufsize: fsspec.open(url, mode).open()\n"
    return f'{imports}{opening}images = webdataset.WebDataset({url}, shardshuffle=100).decode("pil")'


def _text(text: str) -> str:
    return orjson.dumps(text).decode()


def _command(spec: ExportSpec) -> str:
    words = ["prefect-trinetra export", spec.shown_name, "EXPORT", f"--format {spec.format}"]
    words += [f"--split {name}={share:g}" for name, share in spec.splits.shares.items()]
    words += [f"--split-by {spec.splits.column}"] if spec.splits.column else []
    words += [f"--split-of {spec.splits.of}"] if spec.splits.shares and spec.splits.of != "key" else []
    words += [f"--where '{name}={value}'" for name, values in spec.where.items() for value in values]
    words += [f"--without {','.join(sorted(spec.without))}"] if spec.without else []
    words += [f"--drop {','.join(sorted(spec.drop))}"] if spec.drop else []
    return " ".join(words)
