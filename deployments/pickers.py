"""Shows in the run forms which blocks a deployment has: its references by name become references by id.

    python deployments/pickers.py

Prefect loads blocks by either, but its forms know ids alone: a block that is referred to by name is used all the same,
and its picker looks empty. Run it again after each deploy, and after a block was deleted and made anew.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.exceptions import ObjectNotFound

TAG = "prefect-trinetra"


def block_id(client: SyncPrefectClient, slug: str) -> UUID | None:
    """The id of the block TYPE/NAME, None where it is not there (yet)."""
    kind, _, name = slug.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound:
        return None


def by_id(client: SyncPrefectClient, value: Any) -> Any:
    """A parameter's value, with the reference in it by id."""
    match value:
        case {"$ref": {"block_document_slug": str(slug)}} if (found := block_id(client, slug)) is not None:
            return {"$ref": {"block_document_id": str(found)}}
        case _:
            return value


def main() -> None:
    with get_client(sync_client=True) as client:
        tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
        for deployment in client.read_deployments(deployment_filter=tagged):
            parameters = {name: by_id(client, value) for name, value in deployment.parameters.items()}
            if parameters != deployment.parameters:
                client.update_deployment(deployment.id, DeploymentUpdate(parameters=parameters))
                print(f"{deployment.name}: its form shows its blocks")


if __name__ == "__main__":
    main()
