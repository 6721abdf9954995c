"""A plan as a person reads it: what would happen to the rows, and what it may cost."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from prefect_trinetra.cli.figures import counted, credits_text
from prefect_trinetra.cli.outcome_table import word_table
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import Plan

__all__ = ["plan_sentence", "plan_table"]


def plan_sentence(plan: Plan) -> str:
    """A plan on one line, for a log."""
    parts = [
        f"{sum(plan.kept.values()):,} kept",
        f"{plan.to_buy - plan.over_cap:,} to buy for at most {credits_text(plan.spend_at_most)} credits",
    ]
    others = {
        "to collect": plan.to_collect,
        "over the cap": plan.over_cap,
        "duplicate": plan.duplicates,
        "invalid": plan.invalid,
    }
    parts += [f"{count:,} {word}" for word, count in others.items() if count]
    return f"{counted(plan.rows, 'row')}: {', '.join(parts)}"


def plan_table(plan: Plan) -> Table:
    """What would happen to the rows; only what occurs, but always what there is to buy."""
    table = word_table()
    for name, count, word in _lines(plan):
        style = "bold" if name == "to buy" else ""
        table.add_row(Text(name, style), Text(f"{count:,}", "bold"), Text(word, "" if style else "dim"))
    return table


def _lines(plan: Plan) -> Iterator[tuple[str, int, str]]:
    yield "rows", plan.rows, "of the manifest, samples included"
    if kept := {outcome: count for outcome, count in plan.kept.items() if outcome != Outcome.UNKNOWN}:
        by_outcome = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(kept.items()))
        yield "kept", sum(kept.values()), f"recorded before, free: {by_outcome}"
    if unknown := plan.kept.get(Outcome.UNKNOWN):
        yield "unknown", unknown, "may have been ordered; not sent again unless --retry unknown"
    if plan.to_collect:
        yield "to collect", plan.to_collect, "ordered by an earlier run; collecting them is free"
    yield "to buy", plan.to_buy - plan.over_cap, _about_credits(plan)
    if plan.over_cap:
        yield "over the cap", plan.over_cap, f"{credits_text(plan.bound_over_cap)} credits more than the cap covers"
    if plan.duplicates:
        yield "duplicates", plan.duplicates, "bought once, for the first row that asks"
    if plan.invalid:
        yield "invalid", plan.invalid, "nothing is sent for them"


def _about_credits(plan: Plan) -> str:
    if not plan.to_buy:
        return "nothing to pay"
    bounds = ", ".join(f"{quality} {credits_text(bound)}" for quality, bound in plan.bound_by_quality.items())
    said = f"at most {credits_text(plan.spend_at_most)} credits"
    if len(plan.bound_by_quality) > 1 or plan.over_cap:
        return f"{said} (all of them: {bounds})"
    return f"{said} ({', '.join(plan.bound_by_quality)} quality)"
