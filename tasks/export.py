"""An export as one task run, for flows of one's own."""

from __future__ import annotations

from typing import Any, Final

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.export.exporting import export_dataset as export
from prefect_trinetra.export.report import ExportReport
from prefect_trinetra.export.spec import ExportSpec

__all__ = ["export_dataset"]

RETRIES: Final = 2
RETRY_DELAY_SECONDS: Final = 10


def _may_go_better(_task: object, _run: object, state: State[Any]) -> bool:
    """What is wrong with what was asked for stays wrong; a store may come back."""
    return not isinstance(state.data, ConfigurationError)


# Not cached: an export that is complete and up to date is left as it is anyway, and only its folder can tell.
@task(
    name="export_dataset",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAY_SECONDS,
    retry_condition_fn=_may_go_better,
)
def export_dataset(spec: ExportSpec) -> ExportReport:
    """Writes a dataset's images in the shape that training code loads, and goes on where an export broke off.

    The flow `prefect_trinetra.export_dataset` does the same with storage blocks. Raises ConfigurationError where there
    is nothing to export, or the target holds something else, and StorageError.
    """
    return export(spec)
