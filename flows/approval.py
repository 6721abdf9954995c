"""A person says yes to what a run may cost, in a form on the page of the flow run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.flow_runs import apause_flow_run, asuspend_flow_run
from prefect.input import RunInput
from prefect.logging import get_run_logger
from pydantic import Field, create_model

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.loop import io_loop
from prefect_trinetra.plan import Plan
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.tasks.artifacts import plain_markdown

__all__ = ["CostApproval", "approved"]

PAUSE_KEY: Final = "approve-cost"
# Prefect's names for a run that gave its process back, and for one that waits in it.
SUSPENDED, PAUSED = "suspended", "paused"
# A weekend and two days more.
ANSWER_SECONDS: Final = 4 * 86_400


class CostApproval(RunInput):
    """What a person allows a run to spend."""

    max_credits: float = Field(
        ge=0,
        title="Spend at most (credits)",
        description="The cap of this run, its retries included. Lower it to buy less; cancel the run to buy nothing.",
    )


def approved(spec: RunSpec, above: float, plan: Callable[[], Plan]) -> RunSpec:
    """The run as it may be carried out: with a cap of `above` credits, or of what a person agreed to.

    Where its plan may cost more than `above`, a deployed flow run suspends (and gives its process back), any other one
    pauses, until it is resumed with an answer. An answer counts for the retries of the flow run, too.
    """
    if not 0 <= above < float("inf"):
        raise ConfigurationError(f"approve_above is {above}: give 0 or more credits, or leave it out")
    answer = io_loop().run(_earlier_answer())
    if answer is None:
        planned = plan()
        if planned.spend_at_most <= above:
            return _capped(spec, above)
        get_run_logger().info(
            "may cost %s credits, above %s: waiting until a person resumes the run",
            f"{planned.spend_at_most:,g}",
            f"{above:,g}",
        )
        answer = io_loop().run(_ask(_form(planned, spec.dataset, above), planned.spend_at_most))
    get_run_logger().info("a person allowed %s credits", f"{answer:,g}")
    return _capped(spec, answer)


def _capped(spec: RunSpec, most: float) -> RunSpec:
    """Of two caps the smaller one holds; so a plan that grew since it was shown costs no more than was agreed to."""
    return replace(spec, max_credits=most if spec.max_credits is None else min(most, spec.max_credits))


async def _earlier_answer() -> float | None:
    """What was answered to this flow run before it was suspended, or tried again."""
    async with get_client() as client:
        given = await client.filter_flow_run_input(_flow_run_id(), key_prefix="", limit=10, exclude_keys=set())
    answers = {each.key: each.decoded_value for each in given}
    for how in (SUSPENDED, PAUSED):
        if found := answers.get(f"{how}-{PAUSE_KEY}-response"):
            return CostApproval(**found).max_credits
    return None


async def _ask(form: type[CostApproval], spend_at_most: float) -> float:
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None and context.flow_run.deployment_id is not None:
        # Raises what ends this process; the resumed run comes by here again, and finds the answer.
        return (await asuspend_flow_run(wait_for_input=form, timeout=ANSWER_SECONDS, key=PAUSE_KEY)).max_credits
    answer: CostApproval | None = await apause_flow_run(wait_for_input=form, timeout=ANSWER_SECONDS, key=PAUSE_KEY)
    # Nothing comes back where the run was resumed before, with the form as it stood.
    return spend_at_most if answer is None else answer.max_credits


def _flow_run_id() -> UUID:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise ConfigurationError("approve_above asks in a flow run: call the flow, not its function")
    return context.flow_run.id


def _form(plan: Plan, dataset: str, above: float) -> type[CostApproval]:
    """The form, filled in with what the plan may cost."""
    field = CostApproval.model_fields["max_credits"]
    filled = Field(plan.spend_at_most, ge=0, title=field.title, description=field.description)
    form: type[CostApproval] = create_model("CostApproval", __base__=CostApproval, max_credits=(float, filled))
    form._description = _question(plan, dataset, above)  # noqa: SLF001  # as Prefect's with_initial_data does, which drops the title
    return form


def _question(plan: Plan, dataset: str, above: float) -> str:
    lines = [
        f"{plain_markdown(dataset)} may cost up to **{plan.spend_at_most:,g} credits**; the run asks above {above:,g}.",
        "",
        "| quality | images | credits at most |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {totals.images:,} | {totals.bound:,g} |" for name, totals in plan.by_quality.items()),
        "",
        f"{sum(plan.kept.values()):,} of {plan.rows:,} rows are there already and cost nothing.",
        "Resume to go on, or cancel the run: then nothing is bought.",
    ]
    return "\n".join(lines)
