"""What became of a shard, as a file of its dataset: how a worker elsewhere tells the run that ordered it."""

from __future__ import annotations

from dataclasses import asdict

import orjson

from prefect_trinetra.engine import ShardReport

__all__ = ["read_report", "report_bytes"]


def report_bytes(report: ShardReport) -> bytes:
    """The report as JSON."""
    return orjson.dumps(asdict(report))


def read_report(data: bytes) -> ShardReport:
    """The report that `report_bytes` wrote."""
    fields = orjson.loads(data)
    return ShardReport(**(fields | {"errors": tuple(fields["errors"])}))
