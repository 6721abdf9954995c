"""What goes with an export for its readers: croissant.json for machines, README.md for people and the Hub."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import orjson
import pyarrow as pa

from prefect_trinetra.dataset import read_identity
from prefect_trinetra.export.card import card
from prefect_trinetra.export.croissant import croissant
from prefect_trinetra.export.facts import Facts, gather_facts
from prefect_trinetra.export.report import ExportReport
from prefect_trinetra.export.selection import Selection
from prefect_trinetra.export.spec import ExportFormat, ExportSpec
from prefect_trinetra.export.tables import table_schema
from prefect_trinetra.export.target import CARD_FILE, CROISSANT_FILE
from prefect_trinetra.export.worker import Worker
from prefect_trinetra.storage import Storage

__all__ = ["write_papers"]

logger = logging.getLogger(__name__)


async def write_papers(
    report: ExportReport, spec: ExportSpec, selection: Selection, source: Storage, goal: Storage, *, worker: Worker
) -> list[str]:
    """Writes the card and, where mlcroissant is installed, the Croissant metadata; the names of what was written."""
    identity = await read_identity(source)
    facts = await worker.do(partial(gather_facts, identity.origin if identity else "", report, selection))
    columns = table_schema(selection.schema, ExportFormat(report.format))
    document = await worker.do(partial(_croissant, report, facts, spec, columns))
    if document is not None:
        await goal.write(CROISSANT_FILE, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    await goal.write(CARD_FILE, card(report, spec, facts, columns).encode())
    return [CARD_FILE] if document is None else [CARD_FILE, CROISSANT_FILE]


def _croissant(report: ExportReport, facts: Facts, spec: ExportSpec, columns: pa.Schema) -> dict[str, Any] | None:
    try:
        return croissant(report, facts, spec.shown_name, spec.licence, columns)
    except ImportError:
        logger.warning(
            "%s has no %s: what writes it is not installed (pip install 'prefect-trinetra[export]')",
            report.export_url,
            CROISSANT_FILE,
        )
        return None
