"""Which step the next mine lies at, and how often each was hit."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from mines import STEPS, Mine, Place, Step

# The rest are drawn anew: a step that a run hardly ever passes must not be the only one that is tried.
LEAST_HIT_SHARE: Final = 0.6
OF_EVERY_ROW: Final = frozenset({Place.POST, Place.LOOK, Place.DOWNLOAD, Place.IMAGE})
OF_EVERY_SEGMENT: Final = frozenset({Place.INTENT, Place.ANSWER, Place.END, Place.CLEARING})
OF_EVERY_SHARD: Final = frozenset({Place.LEASE, Place.SHARD, Place.SETTLING, Place.ATTEMPTS, Place.RECORDS})


@dataclass
class Deck:
    """Deals steps so that in the end each was hit about as often as any other."""

    hits: Counter[Step] = field(default_factory=Counter)
    tries: Counter[Step] = field(default_factory=Counter)

    def deal(self, chance: random.Random, *, rows: int, shard_size: int, is_new: bool) -> Mine:
        """A mine for a run of about so many rows; `is_new`: of a dataset that has no identity yet."""
        steps = [step for step in STEPS if is_new or step[0] is not Place.IDENTITY]
        step = chance.choice(steps)
        if chance.random() < LEAST_HIT_SHARE:
            step = min(steps, key=lambda each: (self.hits[each], self.tries[each], chance.random()))
        self.tries[step] += 1
        is_hard = self.tries[step] > 2 * self.hits[step] + 1
        return Mine(step, 1 if is_hard else chance.randint(1, _reach(step[0], rows, shard_size)))

    @property
    def never_hit(self) -> list[Step]:
        return [step for step in STEPS if not self.hits[step]]


def _reach(place: Place, rows: int, shard_size: int) -> int:
    """About how often a run that is not cut short passes there."""
    if place in OF_EVERY_ROW:
        return max(1, rows // 2)
    if place in OF_EVERY_SEGMENT:
        return max(1, rows // 8)
    if place in OF_EVERY_SHARD:
        return max(1, rows // shard_size)
    return 1
