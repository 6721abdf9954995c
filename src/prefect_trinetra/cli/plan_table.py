"""A plan as a person reads it: what would happen to the rows, and what it may cost."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from prefect_trinetra.cli.figures import counted, credits_text
from prefect_trinetra.cli.outcome_table import budget_sentence, word_table
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import Plan, QualityTotals

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
    if plan.unknown:
        cost = credits_text(plan.unknown_at_most)
        yield (
            "unknown",
            plan.unknown,
            f"may have been ordered, for {cost} credits; not sent again unless --retry unknown",
        )
    if plan.to_collect:
        cost = credits_text(plan.collect_at_most)
        yield "to collect", plan.to_collect, f"ordered by an earlier run, for at most {cost} credits: nothing is added"
    yield from _to_buy(plan)
    if plan.duplicates:
        yield "duplicates", plan.duplicates, "bought once, for the first row that asks"
    if plan.invalid:
        yield "invalid", plan.invalid, "nothing is sent for them"
    if plan.cap is not None:
        yield "cap", round(max(0.0, plan.left)), f"credits that this run may spend, from {plan.cap_words}"
    if plan.budget is not None:
        yield "budget", round(plan.budget.left), budget_sentence(plan.budget)


def _to_buy(plan: Plan) -> Iterator[tuple[str, int, str]]:
    """What is bought, a line for each quality where there are several, and what the cap keeps out."""
    if not plan.to_buy:
        yield "to buy", 0, "nothing to pay"
        return
    qualities = plan.by_quality
    quality = f" ({next(iter(qualities))} quality)" if len(qualities) == 1 else ""
    yield "to buy", plan.to_buy - plan.over_cap, f"at most {credits_text(plan.spend_at_most)} credits{quality}"
    if len(qualities) > 1:
        for name, totals in qualities.items():
            yield f"  {name}", totals.rows, _of_quality(totals)
    if plan.over_cap:
        yield "over the cap", plan.over_cap, f"{credits_text(plan.bound_over_cap)} credits more than the cap covers"


def _of_quality(totals: QualityTotals) -> str:
    said = f"{counted(totals.images, 'image')}, at most {credits_text(totals.bound)} credits"
    if totals.rows_over_cap:
        over = credits_text(totals.bound_over_cap)
        said += f"; {counted(totals.rows_over_cap, 'row')} more over the cap, at most {over} credits"
    return said
