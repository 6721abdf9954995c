"""A dataset of any size, written by hand: its tables are real, its files are links to a few pictures."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.parts import store_parts
from prefect_trinetra.plan import MANIFEST_PREFIX, PLAN_SCHEMA
from prefect_trinetra.records import Record
from prefect_trinetra.standing import Action
from prefect_trinetra.storage import Storage
from prefect_trinetra.views import METADATA_FILE, LeftOver, write_views

__all__ = ["ManyImages", "picture"]

PICTURES = 40
SHAPES = ((3, 2), (1, 1), (2, 3), (16, 9))
PLACES = ("a harbour", "an orchard", "a lighthouse", "a mountain pass", "a village by the lake", "a mill pond")
STYLES = ("watercolour", "linocut", "gouache")
QUALITIES = ("low", "medium", "high")
# The other rows get an image.
ODD = {7: Outcome.REFUSED, 23: Outcome.FAILED, 41: Outcome.UNKNOWN}
ODD_EVERY = 50
SUSPECT_EVERY = 40
NEAR_EVERY = 60
FIRST_MOMENT = 1_790_000_000.0


def picture(number: int, edge: int = 384) -> bytes:
    """A JPEG with a sun somewhere, so that no two look alike."""
    wide, high = SHAPES[number % len(SHAPES)]
    size = (edge, edge * high // wide) if wide >= high else (edge * wide // high, edge)
    sky = Image.radial_gradient("L").resize(size)
    hue = Image.new("L", size, number * 255 // PICTURES)
    sink = io.BytesIO()
    Image.merge("HSV", (hue, sky, Image.linear_gradient("L").resize(size))).convert("RGB").save(sink, "JPEG")
    return sink.getvalue()


@dataclass
class ManyImages:
    """Writes the dataset into a folder. `prompts` stand in place of the first rows' own."""

    folder: Path
    rows: int
    prompts: Sequence[str] = ()
    edge: int = 384
    _files: list[tuple[Path, tuple[int, int]]] = field(default_factory=list)

    def write(self) -> None:
        self._draw()
        self._identity()
        plan = self.folder / "plan.parquet"
        records, attempts = self._plan(plan)
        known = KnownState({(each.key, 1): [each] for each in attempts}, {each.key: [each] for each in records})
        write_views(plan, known, LeftOver(Outcome.PENDING, "not submitted"), self.folder)
        plan.unlink()
        self._mark_near_duplicates()
        storage = Storage.open(str(self.folder))
        io_loop().run(store_parts(storage, "plan-00000-writer", attempts, records))

    def _draw(self) -> None:
        place = self.folder / "drawn"
        place.mkdir(parents=True)
        for number in range(PICTURES):
            data = picture(number, self.edge)
            (place / str(number)).write_bytes(data)
            self._files.append((place / str(number), Image.open(io.BytesIO(data)).size))

    def _identity(self) -> None:
        identity = {
            "layout_version": 1,
            "id": "many",
            "origin": "https://example.org",
            "account_label": "",
            "made_at": "2026-11-26T00:00:00+00:00",
        }
        (self.folder / "dataset.json").write_bytes(orjson.dumps(identity))

    def _plan(self, path: Path) -> tuple[list[Record], list[Attempt]]:
        own = [("style", pa.string()), ("year", pa.int64()), ("note", pa.string())]
        schema = pa.schema([*PLAN_SCHEMA, *((MANIFEST_PREFIX + name, kind) for name, kind in own)])
        records: list[Record] = []
        attempts: list[Attempt] = []
        with pq.ParquetWriter(path, schema) as file:
            for start in range(0, self.rows, 10_000):
                listed = list(self._some(range(start, min(start + 10_000, self.rows)), records, attempts))
                file.write_table(pa.Table.from_pylist(listed, schema))
        return records, attempts

    def _some(self, numbers: range, records: list[Record], attempts: list[Attempt]) -> Iterator[dict[str, Any]]:
        for number in numbers:
            key = hashlib.sha256(str(number).encode()).hexdigest()
            quality = QUALITIES[number % len(QUALITIES)]
            outcome = ODD.get(number % ODD_EVERY, Outcome.SUCCEEDED)
            if outcome is Outcome.SUCCEEDED:
                records.append(self._record(number, key))
            attempts.append(self._attempt(number, key, quality, outcome))
            yield self._row(number, key, quality)

    def _row(self, number: int, key: str, quality: str) -> dict[str, Any]:
        place, style = PLACES[number % len(PLACES)], STYLES[number % len(STYLES)]
        prompt = f"{place} in the evening light, {style}, seen from the shore, number {number + 1}"
        wide, high = SHAPES[number % len(SHAPES)]
        return {
            "row": number + 1,
            "sample": 0,
            "source": f"prompts.csv, line {number + 2}",
            "key": key,
            "action": Action.BUY,
            "attempt": 1,
            "prompt": self.prompts[number] if number < len(self.prompts) else prompt,
            "quality": quality,
            "aspect_ratio": f"{wide}:{high}",
            "n": 1,
            "model": "gpt-image-2",
            MANIFEST_PREFIX + "style": style,
            MANIFEST_PREFIX + "year": 1990 + number % 12,
            MANIFEST_PREFIX + "note": f"ref-{number * 7919 % 1_000_003}",
        }

    def _record(self, number: int, key: str) -> Record:
        file, (width, height) = self._files[number % PICTURES]
        sha256 = hashlib.sha256(key.encode()).hexdigest()
        name = f"images/{key[:2]}/{key}-0-{sha256[:8]}.jpg"
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(file, self.folder / name)
        return Record(
            key=key,
            index=0,
            sample=0,
            attempt=1,
            outcome=Outcome.SUCCEEDED,
            finished_at=FIRST_MOMENT + number,
            job_id=f"job-{number}",
            file_name=name,
            width=width,
            height=height,
            format="jpeg",
            bytes=file.stat().st_size,
            sha256=sha256,
            suspect="hardly more than one colour" if number % SUSPECT_EVERY == 0 else None,
            credits_charged=3.0,
            submitted_at=FIRST_MOMENT + number - 2,
        )

    def _attempt(self, number: int, key: str, quality: str, outcome: Outcome) -> Attempt:
        states = {Outcome.REFUSED: AttemptState.REFUSED, Outcome.UNKNOWN: AttemptState.UNKNOWN}
        state = states.get(outcome, AttemptState.ACCEPTED)
        return Attempt(
            key=key,
            attempt=1,
            sample=0,
            run_id="run",
            plan_id="plan",
            shard="00000",
            writer="writer",
            state=state,
            bound=3.0,
            begun_at=FIRST_MOMENT + number,
            job_id=f"job-{number}" if state is AttemptState.ACCEPTED else None,
            reason=None if outcome is Outcome.SUCCEEDED else f"it was {outcome}",
            outcome=None if state is not AttemptState.ACCEPTED else outcome,
            credits_charged=3.0 if outcome is Outcome.SUCCEEDED else None,
            request=orjson.dumps({"quality": quality}).decode(),
        )

    def _mark_near_duplicates(self) -> None:
        """As a dataset has it whose images were compared."""
        file = self.folder / METADATA_FILE
        table = pq.read_table(file)
        names = table["file_name"].to_pylist()
        near = [names[0] if at and at % NEAR_EVERY == 0 else None for at in range(len(names))]
        place = table.schema.get_field_index("near_duplicate_of")
        pq.write_table(table.set_column(place, "near_duplicate_of", pa.array(near, pa.string())), file)
