"""Admission under a cap, and the files that shards travel in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import attempt, shard_row
from prefect_trinetra.shards import Admission, read_shard, shard_bytes


def test_rows_come_in_order_and_in_shards() -> None:
    admission = Admission(iter([(0, 7.0), (1, 7.0), (2, 7.0)]), left=float("inf"), shard_size=2)
    assert [admission.next_shard(), admission.next_shard(), admission.next_shard()] == [[0, 1], [2], []]


def test_what_is_settled_lets_further_rows_in() -> None:
    """Rule: what the bill leaves under the bound admits more rows."""
    admission = Admission(iter([(0, 14.0), (1, 14.0)]), left=20.0, shard_size=10)
    assert admission.next_shard() == [0]
    assert admission.next_shard() == []
    admission.settle(14.0, spent=3.0)
    assert admission.next_shard() == [1]


def test_a_dear_row_does_not_keep_a_cheap_one_out() -> None:
    """Rule: what stays unused is less than the bound of the cheapest row that is left."""
    admission = Admission(iter([(0, 14.0), (1, 3.0)]), left=5.0, shard_size=10)
    assert admission.next_shard() == [1]
    assert admission.waiting == 1


@pytest.mark.parametrize("left", [0.0, -20.0])
def test_a_collected_row_costs_nothing(left: float) -> None:
    """Rule: what was paid for is collected, also where the cap has been lowered since."""
    admission = Admission(iter([(0, 0.0)]), left=left, shard_size=10)
    assert admission.next_shard() == [0]


def test_jobs_to_collect_come_before_rows_to_buy() -> None:
    """Rule: their output URLs do not live for ever, and a run that is stopped has collected them."""
    admission = Admission(iter([(0, 7.0), (1, 0.0), (2, 7.0), (3, 0.0)]), left=7.0, shard_size=3)
    assert [admission.next_shard(), admission.next_shard()] == [[1, 3, 0], []]


@given(
    bounds=st.lists(st.sampled_from([0.0, 3.0, 7.0, 14.0, 28.0, 56.0]), max_size=60),
    cap=st.integers(0, 400),
    shard_size=st.integers(1, 9),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
def test_the_cap_holds_and_is_used(bounds: list[float], cap: int, shard_size: int, shares: list[float]) -> None:
    """Law: open bounds and what was spent never pass the cap; in the end less than the cheapest waiting row is left."""
    admission = Admission(iter(enumerate(bounds)), left=float(cap), shard_size=shard_size)
    spent, let_in = 0.0, []
    for turn in range(len(bounds) * 2 + 2):
        shard = admission.next_shard()
        open_bounds = sum(bounds[position] for position in shard)
        assert spent + open_bounds <= cap + 1e-3
        cost = sum(bounds[position] * shares[(turn + position) % len(shares)] for position in shard)
        admission.settle(open_bounds, cost)
        spent += cost
        let_in += shard
    assert len(let_in) == len(set(let_in))
    waiting = [bounds[position] for position in set(range(len(bounds))) - set(let_in)]
    assert admission.waiting == len(waiting)
    assert not waiting or cap - spent < min(waiting) + 1e-3


def test_a_shard_file_gives_its_rows_back() -> None:
    rows = [
        shard_row("ein Fuchs \u2028 im Schnee", parameters={"quality": "low", "n": 2}),
        shard_row(job=attempt(credits_charged=3.0)),
    ]
    assert read_shard(shard_bytes(rows)) == rows
