"""Admission under a cap, and the files that shards travel in."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import attempt, shard_row
from prefect_trinetra.shards import Admission, read_shard, shard_bytes


def admission(
    bounds: Sequence[float], left: float = float("inf"), shard_size: int = 10, in_flight: int = 10
) -> Admission:
    return Admission(iter(enumerate(bounds)), left, shard_size, in_flight)


def test_rows_come_in_order_and_in_shards() -> None:
    let_in = admission([7.0, 7.0, 7.0], shard_size=2)
    assert [let_in.next_shard(), let_in.next_shard(), let_in.next_shard()] == [[0, 1], [2], []]


def test_what_is_settled_lets_further_rows_in() -> None:
    """Rule: what the bill leaves under the bound admits more rows."""
    let_in = admission([14.0, 14.0], left=20.0)
    assert let_in.next_shard() == [0]
    assert let_in.next_shard() == []
    let_in.settle(14.0, spent=3.0)
    assert let_in.next_shard() == [1]


def test_a_dear_row_does_not_keep_a_cheap_one_out() -> None:
    """Rule: what stays unused is less than the bound of the cheapest row that is left."""
    let_in = admission([14.0, 3.0], left=5.0)
    assert let_in.next_shard() == [1]
    assert let_in.waiting == 1


@pytest.mark.parametrize("left", [0.0, -20.0])
def test_a_collected_row_costs_nothing(left: float) -> None:
    """Rule: what was paid for is collected, also where the cap has been lowered since."""
    assert admission([0.0], left=left).next_shard() == [0]


def test_jobs_to_collect_come_before_rows_to_buy() -> None:
    """Rule: their output URLs do not live for ever, and a run that is stopped has collected them."""
    let_in = admission([7.0, 0.0, 7.0, 0.0], left=7.0, shard_size=3)
    assert [let_in.next_shard(), let_in.next_shard()] == [[1, 3, 0], []]


def test_a_cap_that_covers_everything_cuts_no_shard() -> None:
    """Rule: nobody will wait for credits, so shards have the size that was asked for."""
    let_in = admission([7.0] * 1_000, left=7_000.0, shard_size=500, in_flight=64)
    assert [len(let_in.next_shard()) for _ in range(2)] == [500, 500]


def test_no_full_shard_is_waited_for_once_the_cap_binds() -> None:
    """Rule: admission waits for the jobs in flight, not for rows of a large shard that queue behind them."""
    let_in = admission([14.0] * 2_000, left=14.0 * 1_200, shard_size=500, in_flight=64)
    sizes = list(iter(lambda: len(let_in.next_shard()), 0))
    assert sum(sizes) == 1_200
    assert sizes == [500, 500, 64, 64, 64, 8]
    let_in.settle(500 * 14.0, spent=500 * 3.0)
    assert len(let_in.next_shard()) == 64


@given(
    bounds=st.lists(st.sampled_from([0.0, 3.0, 7.0, 12.5, 14.0, 28.0, 56.0]), max_size=60),
    cap=st.integers(0, 400),
    shard_size=st.integers(1, 20),
    in_flight=st.integers(1, 9),
    chance=st.randoms(use_true_random=False),
)
def test_the_cap_holds_and_is_used(
    bounds: list[float], cap: int, shard_size: int, in_flight: int, chance: Random
) -> None:
    """Law: what is open and what was spent never pass the cap, whatever is charged, in whichever order shards end.

    In the end less than the cheapest waiting row is left, unless a shard was lost: that stays counted as spent.
    """
    admitted = admission(bounds, float(cap), shard_size, in_flight)
    flying: list[list[int]] = []
    let_in: list[int] = []
    spent = 0.0
    while (shard := admitted.next_shard()) or flying:
        if shard:
            flying.append(shard)
            let_in += shard
        open_bounds = sum(bounds[position] for each in flying for position in each)
        assert spent + open_bounds <= cap + 1e-3
        if flying and (not shard or chance.random() < 0.4):
            ended = flying.pop(chance.randrange(len(flying)))
            is_lost = chance.random() < 0.1
            bound = sum(bounds[position] for position in ended)
            cost = bound if is_lost else sum(bounds[position] * chance.random() for position in ended)
            spent += cost
            if not is_lost:
                admitted.settle(bound, cost)
    assert len(let_in) == len(set(let_in))
    waiting = [bounds[position] for position in set(range(len(bounds))) - set(let_in)]
    assert admitted.waiting == len(waiting)
    assert not waiting or cap - spent < min(waiting) + 1e-3


def test_a_shard_file_gives_its_rows_back() -> None:
    rows = [
        shard_row("ein Fuchs \u2028 im Schnee", parameters={"quality": "low", "n": 2}),
        shard_row(job=attempt(credits_charged=3.0)),
    ]
    assert read_shard(shard_bytes(rows)) == rows
