"""`status`: what a dataset holds, what it cost, and what is still open."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from prefect_trinetra.cli.exits import Exit
from prefect_trinetra.cli.figures import ago, counted, credits_text, moment
from prefect_trinetra.cli.outcome_table import bullets, outcome_table, range_words, reason_sentences, word_table
from prefect_trinetra.cli.places import Place
from prefect_trinetra.cli.terminal import Terminal, plain
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.loop import io_loop
from prefect_trinetra.oddities import OddImage, read_oddities
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.recovery import recover_spill
from prefect_trinetra.storage import Storage
from prefect_trinetra.survey import OpenJournal, RunTotals, Survey, survey

__all__ = ["show_status"]

LATEST_RUNS: Final = 5
MOST_ODD: Final = 40
PROMPT_CHARACTERS: Final = 100


def show_status(place: Place, terminal: Terminal, *, recover: str | None, suspects: bool = False) -> Exit:
    """Reads the dataset and says what it found; with `recover`, after bringing a spill file's entries back.

    With `suspects` it lists the images to look at instead.
    """
    storage = Storage.open(place.url, place.options)
    if recover is not None:
        terminal.note(_recover(storage, Path(recover)))
    if suspects:
        return _show_suspects(storage, terminal)
    found = io_loop().run(survey(storage))
    terminal.show(*_shown(found, time.time()))
    terminal.tell_machine(_document(found))
    return Exit.OK


def _show_suspects(storage: Storage, terminal: Terminal) -> Exit:
    found = io_loop().run(read_oddities(storage))
    suspects = sum(each.suspect is not None for each in found.odd)
    terminal.show(
        Text.assemble((storage.url, "bold"), f"  {counted(found.images, 'image')}"),
        f"{suspects:,} suspect, {sum(each.near_duplicate_of is not None for each in found.odd):,} near-duplicates",
        "",
        *(_odd_sentence(each) for each in found.odd[:MOST_ODD]),
    )
    if len(found.odd) > MOST_ODD:
        terminal.show("", f"and {len(found.odd) - MOST_ODD:,} more: all of them with --json, or in metadata.parquet")
    terminal.tell_machine({"dataset": storage.url, "images": found.images, "odd": [asdict(each) for each in found.odd]})
    return Exit.OK


def _odd_sentence(image: OddImage) -> Text:
    reasons = [image.suspect, f"like {image.near_duplicate_of}" if image.near_duplicate_of else None]
    prompt = shorten(plain(image.prompt), PROMPT_CHARACTERS, placeholder="...")
    return Text.assemble(
        plain(image.file_name), "\n  ", (plain("; ".join(filter(None, reasons))), "yellow"), "\n  ", (prompt, "dim")
    )


def _recover(storage: Storage, file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"--recover {file}: {error.strerror}; name the spill file that the log told of"
        ) from error
    # Entries of another dataset must not get into this one, nor make a dataset of an empty folder.
    io_loop().run(survey(storage))
    written = io_loop().run(recover_spill(storage, data))
    if not written:
        return f"{file}: everything in it was recovered before"
    return f"{file}: {counted(len(written), 'journal segment')} recovered; the next run goes on from there"


def _shown(found: Survey, now: float) -> Iterator[Text | Table | str]:
    yield Text.assemble((found.url, "bold"), f"  images of {found.identity.origin}, made {found.identity.made_at}")
    yield ""
    if found.rows:
        yield outcome_table({outcome.value: count for outcome, count in found.rows.items()})
    else:
        yield Text("no run has ended yet, so there is no table of rows")
    yield ""
    yield _ledger_table(found)
    yield ""
    yield from bullets(reason_sentences(found.reasons))
    if found.holder is not None:
        yield from bullets([f"held by {found.holder.words}: it is at work, or was killed and the next run takes over"])
    yield from bullets(_journal_sentence(journal, now) for journal in found.open_journals)
    yield from bullets(f"{path} is torn: it was never durable, nothing rests on it" for path in found.torn_segments)


def _ledger_table(found: Survey) -> Table:
    table = word_table()
    out = found.requests[Outcome.PENDING]
    accepted = sum(run.accepted for run in found.runs)
    unknown = sum(run.unknown for run in found.runs)
    table.add_row("images", _figure(found.images), Text(f"{found.url}/images", "dim"))
    table.add_row("ordered", _figure(accepted), Text(f"jobs accepted in all; {out:,} of them not seen to end", "dim"))
    if unknown:
        table.add_row("unknown", _figure(unknown), Text("orders without an answer: counted as spent", "dim"))
    charged = f"charged in all, of at most {credits_text(found.credits_bound)}{_range(found)}"
    table.add_row("credits", Text(credits_text(found.credits_charged), "bold"), Text(charged, "dim"))
    for run in found.runs[-LATEST_RUNS:]:
        table.add_row(Text("  run", "dim"), Text(credits_text(run.credits_charged)), Text(_run_words(run), "dim"))
    if len(found.runs) > LATEST_RUNS:
        table.add_row("", "", Text(f"and {len(found.runs) - LATEST_RUNS:,} earlier runs", "dim"))
    return table


def _figure(count: int) -> Text:
    return Text(f"{count:,}", "bold")


def _run_words(run: RunTotals) -> str:
    """What a run bought, when, and for how much; what is not certain as a range."""
    ends = ", ".join(f"{cost.posts:,} {outcome}" for outcome, cost in run.by_outcome.items())
    return (
        f"of at most {credits_text(run.credits_bound)}{_range(run)}; {counted(run.posts, 'order')} ({ends}); "
        f"{moment(run.begun_at)}; {run.run_id}"
    )


def _range(costs: RunTotals | Survey) -> str:
    if costs.credits_at_most <= costs.credits_charged:
        return ""
    return f", {range_words(costs.credits_charged, costs.credits_at_most)}"


def _journal_sentence(journal: OpenJournal, now: float) -> str:
    last = "no entry yet" if journal.last_entry_at is None else f"last entry {ago(now - journal.last_entry_at)}"
    return (
        f"open journal of plan {journal.name.plan_id}, shard {journal.name.shard}: {counted(journal.posts, 'order')}, "
        f"{journal.jobs_out:,} jobs out, {last}; the next run takes over what is left of it"
    )


def _document(found: Survey) -> dict[str, Any]:
    return {
        "dataset": found.url,
        "origin": found.identity.origin,
        "rows": found.rows.total(),
        "images": found.images,
        "outcomes": {outcome.value: found.rows[outcome] for outcome in Outcome},
        "requests": {outcome.value: found.requests[outcome] for outcome in Outcome},
        "accepted": sum(run.accepted for run in found.runs),
        "unknown": sum(run.unknown for run in found.runs),
        "credits_bound": found.credits_bound,
        "credits_charged": found.credits_charged,
        "credits_at_most": found.credits_at_most,
        "runs": [asdict(run) for run in found.runs],
        "open_journals": [asdict(journal) for journal in found.open_journals],
        "torn_segments": list(found.torn_segments),
        "holder": None if found.holder is None else asdict(found.holder),
    }
