"""`plan` and `generate`: a run in this process, without a Prefect server."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from rich.text import Text

from prefect_trinetra.cli.accounts import account_if_any, account_to_charge, origin_note
from prefect_trinetra.cli.documents import plan_document, report_document
from prefect_trinetra.cli.exits import BrokenOff, Exit
from prefect_trinetra.cli.figures import credits_text
from prefect_trinetra.cli.live import LiveProgress
from prefect_trinetra.cli.options import Whose
from prefect_trinetra.cli.outcome_table import bullets, next_steps, reason_sentences, report_table
from prefect_trinetra.cli.plan_table import plan_sentence, plan_table
from prefect_trinetra.cli.terminal import Terminal, plain
from prefect_trinetra.errors import TooManyFailures
from prefect_trinetra.holdings import Holding
from prefect_trinetra.loop import io_loop
from prefect_trinetra.outcomes import FAILURES, Outcome
from prefect_trinetra.plan import Plan
from prefect_trinetra.preparation import plan_only
from prefect_trinetra.progress import Progress
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.run import generate
from prefect_trinetra.settings import Account, TrinetraSettings, load_settings
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.storage import Storage
from prefect_trinetra.survey import Reason, read_reasons

__all__ = ["carry_out", "show_plan", "show_report"]


def show_plan(spec: RunSpec, whose: Whose, terminal: Terminal, *, save: bool = False) -> Exit:
    """Says what a run would do and cost; needs no key and sends nothing. With `save` the plan is kept to be applied."""
    started = time.monotonic()
    settings = load_settings(whose.env_file)
    plan = plan_only(spec, account_if_any(whose, settings), settings, save=save)
    terminal.show(_heading(spec, "would become"), plan_table(plan), "", *bullets(plan.remarks))
    terminal.show("Nothing was sent.")
    if save:
        terminal.show(
            f"Saved as plan {plan.id}: run generate with the same words and --plan {plan.id} to carry it out."
        )
    where = Storage.open(spec.dataset, spec.storage_options).url
    terminal.tell_machine(plan_document(plan, where, time.monotonic() - started, saved=save))
    return Exit.OK


def carry_out(spec: RunSpec, whose: Whose, terminal: Terminal, *, yes: bool) -> Exit:
    """A whole run, with its question, its progress and its report."""
    settings = load_settings(whose.env_file)
    run = _Run(spec, account_to_charge(whose, settings), terminal, yes=yes)
    try:
        report = run.to_its_end(settings)
    except TooManyFailures as error:
        show_report(error.report, spec, terminal)
        terminal.aside("", Text(str(error), "red"))
        return Exit.FAILED
    if report is None:
        terminal.note("Nothing was ordered.")
        return Exit.NOTHING_DONE
    show_report(report, spec, terminal)
    # Nobody may take it for a success that the provider charges more than was agreed to.
    return Exit.FAILED if report.overcharges else Exit.OK


def show_report(report: DatasetReport, spec: RunSpec, terminal: Terminal) -> None:
    """The end of a run: what became of the rows, what it cost, where things lie, what to do next."""
    terminal.show("", report_table(report))
    sentences = [*report.remarks, *reason_sentences(_failures(report, spec)), *next_steps(report)]
    if sentences:
        terminal.show("", *bullets(sentences))
    terminal.tell_machine(report_document(report))


def _failures(report: DatasetReport, spec: RunSpec) -> list[Reason]:
    """Why rows failed; the plan's remarks tell of invalid ones already."""
    if not report.failures - report.outcomes[Outcome.INVALID]:
        return []
    reasons = io_loop().run(read_reasons(Storage.open(spec.dataset, spec.storage_options)))
    return [reason for reason in reasons if reason.outcome in FAILURES - {Outcome.INVALID}]


@dataclass
class _Run:
    """What a run says while it goes on."""

    spec: RunSpec
    account: Account
    terminal: Terminal
    yes: bool
    progress: Progress = field(default_factory=Progress)
    has_begun: bool = False

    def to_its_end(self, settings: TrinetraSettings) -> DatasetReport | None:
        """The report, or None where the answer was no. Raises BrokenOff for an error once something may be ordered."""
        with ExitStack() as drawing:
            try:
                drawing.enter_context(self.terminal.waiting("reading the manifest and what is recorded"))
                return generate(
                    self.spec,
                    self.account,
                    settings,
                    progress=self.progress,
                    confirm=lambda plan: self._may_begin(plan, drawing),
                    on_wait=self._say_waiting,
                )
            except TooManyFailures:
                raise
            except KeyboardInterrupt:
                drawing.close()
                self._say_stopped()
                raise
            except Exception as error:
                if self.has_begun:
                    raise BrokenOff from error
                raise

    def _say_waiting(self, holding: Holding | None) -> None:
        who = holding.words if holding is not None else "another run"
        self.terminal.note(Text(f"waiting for {plain(who)} to end, or to give no more signs of life"))

    def _may_begin(self, plan: Plan, drawing: ExitStack) -> bool:
        """Says what the run will do, asks where somebody can answer, and starts drawing."""
        drawing.close()
        self._introduce(plan)
        spends = plan.to_buy > plan.over_cap
        question = f"Spend up to {credits_text(plan.spend_at_most)} credits?"
        if spends and not self.yes and self.terminal.can_ask and not self.terminal.ask(question):
            return False
        self.has_begun = True
        drawing.enter_context(LiveProgress(self.progress, self.terminal))
        return True

    def _introduce(self, plan: Plan) -> None:
        if self.terminal.is_watched:
            self.terminal.aside(_heading(self.spec, "becomes"), plan_table(plan), "")
        else:
            self.terminal.note(plan_sentence(plan))
        if note := origin_note(self.account):
            self.terminal.note(note)

    def _say_stopped(self) -> None:
        if self.has_begun:
            done, charged = self.progress.done, credits_text(self.progress.credits_charged)
            self.terminal.note(
                f"stopped: {done:,} of {self.progress.rows_to_do:,} rows done, {charged} credits charged"
            )
            self.terminal.note("Run the same command again to go on: what was ordered is collected, not ordered again.")
        else:
            self.terminal.note("stopped; nothing was ordered")


def _heading(spec: RunSpec, verb: str) -> Text:
    sources = [spec.manifest] if isinstance(spec.manifest, str) else [str(source) for source in spec.manifest]
    shown = sources[0] if len(sources) == 1 else f"{sources[0]} and {len(sources) - 1} more"
    return Text.assemble((plain(shown), "bold"), f" {verb} ", (plain(spec.dataset), "bold"), "\n")
