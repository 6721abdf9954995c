"""What one dataset is to go through, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mines import Weather

from prefect_trinetra.spec import RunLimits

Row = dict[str, Any]

# Rates are a few per cent. None of these destroys a picture for good, so what was billed has to be there in the end.
FAULTS: Final[Sequence[Mapping[str, float]]] = (
    {
        "lost_answer": 0.03,
        "reset_answer": 0.02,
        "half_answer": 0.02,
        "error_before": 0.02,
        "error_after": 0.02,
        "bare_503": 0.01,
        "hang_after": 0.003,
        "garbled": 0.01,
        "no_id": 0.01,
        "redirect_submit": 0.01,
    },
    {"rate_limited": 0.01, "rate_limited_bare": 0.005, "unavailable": 0.01},
    {
        "failed_jobs": 0.1,
        "slow_jobs": 0.02,
        "missing_credits": 0.05,
        "fewer_outputs": 0.03,
        "wrong_model": 0.02,
    },
    {"poll_error": 0.05, "poll_missing": 0.03, "unknown_state_with_outputs": 0.02},
    {"truncated": 0.005, "html": 0.005, "empty_body": 0.005, "redirect_download": 0.05, "expired": 0.05},
)
QUALITIES: Final = ("low", "low", "low", "medium", "high", "auto")
REFUSED_PROMPT: Final = "forbidden-by-moderation"
MAX_CONNECTIONS: Final = 32


@dataclass(frozen=True)
class Recipe:
    """One round. It has as many lives as manifests before the last one, with which it comes to its end."""

    number: int
    seed: str
    manifests: Sequence[Sequence[Row]]
    samples: int
    limits: RunLimits
    faults: Mapping[str, float]
    cap_share: float | None
    """The cap of each life as a share of what its manifest costs at most."""
    keeps_run_id: bool
    is_stormy: bool
    has_full_disk: bool
    by_command_line: bool
    processes: int
    """How many runs start together in each life."""
    is_stopped: bool
    """Whether they are stopped for a while, too: such a run seems dead, and is taken over before it goes on."""

    @property
    def posts_at_once(self) -> int:
        """How many POSTs one process may have under way, and so leave unanswered when it dies."""
        return min(self.limits.jobs_in_flight, MAX_CONNECTIONS // 2)

    def chance(self, *about: object) -> random.Random:
        """The same draws for the same subject, whenever they are made."""
        return random.Random(f"{self.seed} {about}")  # noqa: S311  # seeded, to be repeated

    def weather(self, *about: object) -> Weather | None:
        chance = self.chance("weather", *about)
        if not self.is_stormy:
            return None
        rows = len(self.manifests[-1])
        return Weather(chance.randint(1, 8 * rows), chance.choice([1, 3, 10, 40]), f"{self.seed} {about}")


def draw(number: int, rows: int, seed: int) -> Recipe:
    """The recipe of a round: about `rows` requests in the end."""
    name = f"{seed} {number}"
    chance = random.Random(name)  # noqa: S311  # seeded, to be repeated
    by_command_line = number % 25 == 7
    shard_size = max(4, rows // chance.choice([1, 3, 5]))
    limits = RunLimits(
        jobs_in_flight=chance.choice([4, 16, 32]),
        # Now and then a shard a row: they leave so many small files that runs fold them.
        shard_size=1 if number % 6 == 4 else shard_size,
        requests_per_minute=chance.choice([60_000.0, 60_000.0, None]),
    )
    wanted = rows if chance.random() < 0.8 else rows // 2
    faults = {fault: rate for group in FAULTS if chance.random() < 0.4 for fault, rate in group.items()}
    if "failed_jobs" in faults:
        # A failed job in a state that nobody lists stays pending while its run has patience: rightly, but long.
        faults.pop("unknown_state_with_outputs", None)
    together = chance.randint(2, 4) if not by_command_line and chance.random() < 0.4 else 1
    return Recipe(
        number=number,
        seed=name,
        manifests=_manifests(chance, wanted, lives=chance.randint(4, 8)),
        samples=1 if wanted == rows else 2,
        limits=limits,
        faults={} if by_command_line else faults,
        cap_share=chance.uniform(0.1, 0.6) if chance.random() < 0.35 else None,
        keeps_run_id=chance.random() < 0.5,
        is_stormy=chance.random() < 0.25,
        has_full_disk=number % 10 == 3,
        by_command_line=by_command_line,
        processes=together,
        is_stopped=chance.random() < 0.5 and together > 1,
    )


def _manifests(chance: random.Random, rows: int, lives: int) -> list[list[Row]]:
    """The same for every life, or growing, or edited: rows go, come back and change places."""
    everything = [_row(chance, number) for number in range(rows)]
    for _ in range(rows // 20):
        everything.insert(chance.randrange(rows), dict(chance.choice(everything)))
    style = chance.choice(["same", "growing", "edited"])
    manifests = []
    for life in range(lives):
        match style:
            case "same":
                manifests.append(everything)
            case "growing":
                manifests.append(everything[: max(1, len(everything) * (life + 1) // lives)])
            case _:
                manifests.append(chance.sample(everything, max(1, int(len(everything) * chance.uniform(0.3, 1.0)))))
    return [*manifests, everything]


def _row(chance: random.Random, number: int) -> Row:
    if chance.random() < 0.01:
        return {"prompt": ""}
    word = REFUSED_PROMPT if chance.random() < 0.01 else "paper"
    n = 2 if chance.random() < 0.1 else 1
    return {"prompt": f"a {word} boat, number {number}", "quality": chance.choice(QUALITIES), "n": n}
