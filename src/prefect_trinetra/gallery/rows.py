"""What a page knows of each item from the start (to draw, filter, search, sort), and what it asks for later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

from prefect_trinetra.gallery.cells import shown
from prefect_trinetra.gallery.choices import Choices, choice_of
from prefect_trinetra.gallery.items import Item
from prefect_trinetra.gallery.packs import Picture, Slot, ThumbnailPacks, Trouble
from prefect_trinetra.gallery.parts import Part, part
from prefect_trinetra.outcomes import Outcome

__all__ = ["OUTCOMES", "RECORDS_PER_PART", "ROWS_PER_PART", "RowParts", "picture_of"]

# A first part that is small draws the first screen early; the page goes on loading.
ROWS_PER_PART: Final = 1_000
# All of a record is read one item at a time.
RECORDS_PER_PART: Final = 250
MAX_SEARCHED: Final = 300
MAX_REASON: Final = 240
OUTCOMES: Final = [outcome.value for outcome in Outcome]
# Where a row has no image: the shape that was asked for, or a square.
SQUARE: Final = (1, 1)


@dataclass
class RowParts:
    """Turns items into parts, and counts them on the way."""

    choices: Choices
    packs: ThumbnailPacks
    rows: list[str] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    items: int = 0
    images: int = 0
    suspects: int = 0
    near_duplicates: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    _places: dict[str, dict[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        values = self.choices.values.items()
        self._places = {name: {value: i for i, value in enumerate(of)} for name, of in values}

    def parts(self, items: Iterator[Item]) -> Iterator[Part]:
        """The parts, of both kinds; their names are in `rows` and `records`."""
        while listed := list(islice(items, ROWS_PER_PART)):
            self._count(listed)
            made = part("rows", self._columns(listed))
            self.rows.append(made[0])
            yield made
            for start in range(0, len(listed), RECORDS_PER_PART):
                made = part("records", _records(listed[start : start + RECORDS_PER_PART]))
                self.records.append(made[0])
                yield made

    def _count(self, listed: Sequence[Item]) -> None:
        self.items += len(listed)
        for item in listed:
            self.images += item.has_image
            self.suspects += item.cells.get("suspect") is not None
            self.near_duplicates += item.cells.get("near_duplicate_of") is not None
            self.outcomes[item.cells["outcome"]] += 1

    def _columns(self, listed: Sequence[Item]) -> dict[str, Any]:
        slots = [self._slot(item) for item in listed]
        shapes = [_shape(item) for item in listed]
        return {
            "id": [item.id for item in listed],
            "prompt": [item.cells["prompt"] for item in listed],
            "outcome": [OUTCOMES.index(item.cells["outcome"]) for item in listed],
            "reason": [_reason(item, slot) for item, slot in zip(listed, slots, strict=True)],
            "width": [width for width, _ in shapes],
            "height": [height for _, height in shapes],
            "pack": [slot.pack if isinstance(slot, Slot) else None for slot in slots],
            "place": [slot.place if isinstance(slot, Slot) else None for slot in slots],
            "image": [int(item.has_image) for item in listed],
            "suspect": [int(item.cells.get("suspect") is not None) for item in listed],
            "near": [int(item.cells.get("near_duplicate_of") is not None) for item in listed],
            "credits": [item.cells.get("credits_charged") for item in listed],
            "at": [_seconds(item.cells.get("finished_at")) for item in listed],
            "choices": {
                name: [places.get(choice_of(item.cells.get(name)), -1) for item in listed]
                for name, places in self._places.items()
            },
            "texts": {name: [_searched(item.cells.get(name)) for item in listed] for name in self.choices.texts},
        }

    def _slot(self, item: Item) -> Slot | Trouble | None:
        if not item.has_image:
            return None
        return self.packs.slot(picture_of(item))


def picture_of(item: Item) -> Picture:
    """The image of an item that has one."""
    return Picture(item.cells["file_name"], item.cells["sha256"] or item.cells["file_name"])


def _reason(item: Item, slot: Slot | Trouble | None) -> str | None:
    if isinstance(slot, Trouble):
        return slot.words
    if item.has_image:
        return None if slot is not None else "thumbnail to come"
    return str(item.cells["reason"] or "no reason given")[:MAX_REASON]


def _shape(item: Item) -> tuple[int, int]:
    width, height = item.cells.get("width"), item.cells.get("height")
    if width and height:
        return width, height
    one, _, other = str(item.cells.get("aspect_ratio")).partition(":")
    return (int(one), int(other)) if one.isdecimal() and other.isdecimal() and int(one) * int(other) else SQUARE


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _searched(value: Any) -> str:
    cell = shown(value)
    return "" if cell is None else str(cell)[:MAX_SEARCHED]


def _records(listed: Sequence[Item]) -> dict[str, Any]:
    """All that is known of some items: the columns' names once, then a list of values each."""
    names = list(dict.fromkeys(name for item in listed for name in item.cells))
    return {"names": names, "rows": [[shown(item.cells.get(name)) for name in names] for item in listed]}
