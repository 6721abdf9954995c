"""One rate for all workers: a global concurrency limit of Prefect whose slots decay, leased in large parts."""

from __future__ import annotations

import random
from typing import Final

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.logging import get_logger

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.loop import io_loop
from prefect_trinetra.pacing import Share

__all__ = ["GlobalRate", "check_rate_limit"]

LOCKED: Final = 423
# Half of the slots at once: who asks while another sends its part finds something, too.
PARTS: Final = 2
# While the server does not answer nothing is submitted: it is asked again after so long.
TROUBLE_SECONDS: Final = 5.0

logger = get_logger("trinetra")


def check_rate_limit(name: str) -> None:
    """Raises ConfigurationError where there is no such limit, or its slots do not decay."""
    io_loop().run(_read(name))


class GlobalRate:
    """A part of the limit's slots is taken for as many submissions; the server gives them back as time goes by."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._limit: GlobalConcurrencyLimitResponse | None = None

    async def lease(self, submissions: int) -> Share:
        """A part of the rate. Where the server does not answer, none."""
        try:
            async with get_client() as client:
                self._limit = self._limit or await _limit(client, self.name)
                return await self._lease(client, self._limit, submissions)
        except Exception as error:  # noqa: BLE001  # whatever it is, it may pass, and no row is at fault
            logger.warning("nothing is submitted until the rate limit %s answers: %s", self.name, error)
            return Share(0, 0.0, TROUBLE_SECONDS)

    async def _lease(self, client: PrefectClient, limit: GlobalConcurrencyLimitResponse, wanted: int) -> Share:
        per_second = limit.slot_decay_per_second
        slots = min(wanted, max(1, limit.limit // PARTS))
        try:
            await client.increment_concurrency_slots([self.name], slots, "rate_limit")
        except PrefectHTTPStatusError as error:
            if error.response.status_code != LOCKED:
                raise
            # Each question that is denied costs the limit a part of a slot, so nobody asks often.
            return Share(0, per_second, (0.5 + random.random()) * max(1.0, slots / per_second))  # noqa: S311
        return Share(slots, per_second)


async def _read(name: str) -> None:
    async with get_client() as client:
        await _limit(client, name)


async def _limit(client: PrefectClient, name: str) -> GlobalConcurrencyLimitResponse:
    try:
        limit = await client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound as error:
        raise ConfigurationError(
            f"rate_limit names {name}, which is no global concurrency limit: make one, for 5 orders a second, with "
            f"prefect gcl create {name} --limit 50 --slot-decay-per-second 5. Nothing was sent."
        ) from error
    if not limit.slot_decay_per_second:
        raise ConfigurationError(
            f"the slots of {name} do not decay, so it is no rate: prefect gcl update {name} --slot-decay-per-second 5. "
            "Nothing was sent."
        )
    return limit
