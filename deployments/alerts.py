"""Tells a person when a run needs one: automations on the Prefect server that send a message through a saved block.

    python deployments/alerts.py slack-webhook/team

The block is any of Prefect's notification blocks, by TYPE/NAME. Run it again after a change: automations of the same
name are replaced. What is told: runs that failed or crashed, runs that left rows over or were charged too much, and
runs that wait for somebody to approve their cost.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from uuid import UUID

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

TAG = "prefect.tag.prefect-trinetra"
NEEDS = {
    "failed": ("prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut"),
    "left-over": ("prefect.flow-run.LeftOver*", "prefect.flow-run.Overcharged*"),
    "approval": ("prefect.flow-run.Suspended", "prefect.flow-run.Paused"),
}
BODY = """{{ flow.name }}: {{ flow_run.name }} is {{ flow_run.state.name }}.
{{ flow_run.state.message }}
{{ flow_run|ui_url }}"""


def alert(need: str, states: tuple[str, ...], block_id: UUID) -> AutomationCore:
    """An automation that sends a message whenever a tagged run comes into one of these states."""
    return AutomationCore(
        name=f"prefect-trinetra {need}",
        description="Made by deployments/alerts.py.",
        trigger=EventTrigger(
            expect=set(states),
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.id": TAG, "prefect.resource.role": "tag"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            SendNotification(
                block_document_id=block_id,
                subject=f"prefect-trinetra: {need}",
                body=BODY,
            )
        ],
    )


def main(slug: str) -> None:
    """Replaces the automations. Exits with a sentence where the block can't be used."""
    try:
        block = Block.load(slug)
    except ValueError as error:
        sys.exit(f"{slug}: {error}; make the block first, on the Blocks page")
    if not isinstance(block, NotificationBlock):
        sys.exit(f"{slug} sends no messages: name a notification block, such as slack-webhook/team")
    block_id = block._block_document_id  # noqa: SLF001  # Prefect has no public name for it
    if block_id is None:
        sys.exit(f"{slug} is not saved on this server: save it first")
    with get_client(sync_client=True) as client:
        for need, states in NEEDS.items():
            wanted = alert(need, states, block_id)
            for old in client.read_automations_by_name(wanted.name):
                client.delete_automation(old.id)
            client.create_automation(wanted)
            print(f"{wanted.name}: {', '.join(states)}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [slug]:
            main(slug)
        case _:
            sys.exit(__doc__)
