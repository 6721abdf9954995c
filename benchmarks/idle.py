"""Orders on connections that the server closes while they idle: how many end as unknown.

The sandbox closes a connection after 1 s without a request, and each client here pauses for just about that long
between its orders: the worst moment to reuse one. An order that is sent while its connection is being closed has no
answer, and nobody knows whether it was taken. Beside our client, the same one with the 15 s that are usual for HTTP
clients.

    python benchmarks/idle.py                        10,000 orders each, about 4 minutes
    python benchmarks/idle.py --orders 500 --clients 50

Exits with 1 if one of our client's orders is unknown.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from prefect_trinetra import client
from prefect_trinetra.client import TrinetraClient
from prefect_trinetra.errors import NotAccepted, OutcomeUnknown
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from prefect_trinetra.settings import Account, TrinetraSettings

SERVER_IDLE_SECONDS: Final = 1.0
# The pauses are spread so far around it.
SPREAD_SECONDS: Final = 0.02
USUAL_IDLE_SECONDS: Final = 15.0


async def orders(sandbox: SandboxHandle, count: int, clients: int) -> Counter[str]:
    """How so many orders of so many clients ended."""
    ends: Counter[str] = Counter()
    account = Account.of(sandbox.api_key, sandbox.url)
    shares = [count // clients + (number < count % clients) for number in range(clients)]
    async with asyncio.TaskGroup() as group:
        for number, share in enumerate(shares):
            group.create_task(_customer(account, number, share, ends))
    return ends


async def _customer(account: Account, number: int, count: int, ends: Counter[str]) -> None:
    chance = random.Random(number)  # noqa: S311  # seeded, to be repeated
    await asyncio.sleep(chance.uniform(0.0, SERVER_IDLE_SECONDS))
    async with TrinetraClient(account, TrinetraSettings()) as shop:
        for order in range(count):
            request = ImageRequest(prompt=f"client {number}, order {order}", quality="low")
            try:
                await shop.submit(request, idempotency_key=f"{number}-{order}")
            except OutcomeUnknown:
                ends["unknown"] += 1
            except NotAccepted:
                ends["certainly not sent"] += 1
            else:
                ends["accepted"] += 1
            await asyncio.sleep(SERVER_IDLE_SECONDS + chance.uniform(-SPREAD_SECONDS, SPREAD_SECONDS))


@contextmanager
def reusing_for(seconds: float) -> Iterator[None]:
    """Clients that are opened meanwhile reuse a connection that idled for so long."""
    ours = client.SUBMIT_IDLE_SECONDS
    vars(client)["SUBMIT_IDLE_SECONDS"] = seconds
    try:
        yield
    finally:
        vars(client)["SUBMIT_IDLE_SECONDS"] = ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=10_000, help="of each of the two")
    parser.add_argument("--clients", type=int, default=100, help="at once, each with connections of its own")
    given = parser.parse_args()
    table = Table(
        "connections reused for", "orders", "accepted", "not sent", "unknown", "of them sold", box=box.MARKDOWN
    )
    unknown = 0
    with running_sandbox(
        keep_alive_seconds=SERVER_IDLE_SECONDS, job_seconds=0, pixels=16, pictures="stamped"
    ) as sandbox:
        for seconds in (client.SUBMIT_IDLE_SECONDS, USUAL_IDLE_SECONDS):
            sandbox.reset()
            with reusing_for(seconds):
                ends = asyncio.run(orders(sandbox, given.orders, given.clients))
            sold = sandbox.bill()["jobs_accepted"] - ends["accepted"]
            figures = (ends.total(), ends["accepted"], ends["certainly not sent"], ends["unknown"], sold)
            table.add_row(f"{seconds:g} s", *(f"{figure:,}" for figure in figures))
            unknown += ends["unknown"] if seconds != USUAL_IDLE_SECONDS else 0
    Console(width=120).print(table)
    sys.exit(1 if unknown else 0)


if __name__ == "__main__":
    main()
