"""What orders cost: certain where it was charged, else a range."""

from __future__ import annotations

from dataclasses import astuple

from hypothesis import given
from hypothesis import strategies as st

from builders import attempt
from prefect_trinetra.costs import Cost, Costs
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.outcomes import Outcome

OUTCOMES = st.none() | st.sampled_from([outcome.value for outcome in Outcome])
BOUNDS = st.sampled_from([3.0, 7.0, 14.0])
REQUESTS = st.sampled_from([None, "{}", '{"quality":"auto"}'])
# Only a job has a charge.
CHARGES = st.none() | st.sampled_from([0.0, 3.0, 28.0])
ATTEMPTS = st.builds(
    attempt, st.sampled_from(AttemptState), bound=BOUNDS, outcome=OUTCOMES, request=REQUESTS
) | st.builds(attempt, bound=BOUNDS, outcome=OUTCOMES, request=REQUESTS, credits_charged=CHARGES)


def test_what_was_charged_is_certain_and_the_rest_a_range() -> None:
    """Unknown, open, pending and uncharged ones cost nothing to their bound; failed ones and refused ones nothing."""
    cost = Cost.of(
        [
            attempt(outcome="succeeded", bound=14.0, credits_charged=3.0),
            attempt(outcome="succeeded"),
            attempt(outcome="failed"),
            attempt(),
            attempt(AttemptState.UNKNOWN),
            attempt(AttemptState.OPEN),
            attempt(AttemptState.REFUSED),
            attempt(AttemptState.VOID),
        ]
    )
    assert cost == Cost(posts=6, charged=3.0, at_most=31.0, bound=49.0)


def test_a_charge_shows_beside_the_bound_of_its_quality() -> None:
    """What `auto` really cost."""
    told = [attempt(bound=14.0, credits_charged=3.0, request='{"quality":"auto"}'), attempt(request="{}")]
    assert Costs.of(told).by_quality == {"auto": Cost(1, 3.0, 3.0, 14.0), "medium": Cost(1, 0.0, 7.0, 7.0)}


def test_orders_are_told_apart_by_what_became_of_them() -> None:
    """In the order of the outcomes; what is out is pending."""
    told = [attempt(AttemptState.OPEN), attempt(), attempt(outcome="succeeded", credits_charged=7.0)]
    assert list(Costs.of(told).by_outcome) == ["succeeded", "unknown", "pending"]


@given(st.lists(ATTEMPTS))
def test_the_parts_add_up_to_the_whole(attempts: list[Attempt]) -> None:
    """Law: by outcome and by quality every order is counted once, and charged is never more than at most."""
    whole = Cost.of(attempts)
    assert whole.charged <= whole.at_most
    for parts in (Costs.of(attempts).by_outcome, Costs.of(attempts).by_quality):
        costs = [astuple(cost) for cost in (Cost(), *parts.values())]
        assert Cost(*map(sum, zip(*costs, strict=True))) == whole
