"""Records, and how parts of them are merged."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from builders import KEY, record
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.records import Record, merge_records, read_record_rows, records_table


def test_a_success_beats_whatever_came_later() -> None:
    later = record(Outcome.DAMAGED, finished_at=999.0)
    assert merge_records([later, record()])[KEY] == [record()]


def test_without_a_success_the_latest_word_stands() -> None:
    failed, expired = record(Outcome.FAILED), record(Outcome.EXPIRED, finished_at=300.0, index=1)
    assert merge_records([expired, failed])[KEY] == [expired]


def test_a_later_attempt_is_later_whatever_the_clocks_say() -> None:
    """Rule: runs may be on machines whose clocks differ."""
    first, second = record(Outcome.FAILED, finished_at=900.0), record(Outcome.DAMAGED, attempt=2)
    assert merge_records([second, first])[KEY] == [second]


def test_a_success_keeps_what_became_of_its_other_images() -> None:
    lost = record(Outcome.DAMAGED, index=1)
    assert merge_records([lost, record()])[KEY] == [record(), lost]


def test_a_table_gives_its_records_back() -> None:
    told = [record(width=1, suspect="flat"), record(Outcome.FAILED, reason="é")]
    assert list(read_record_rows(records_table(told))) == told


any_record = st.builds(
    record,
    st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED, Outcome.DAMAGED]),
    index=st.integers(0, 3),
    finished_at=st.floats(0, 10),
    attempt=st.integers(1, 3),
    sha256=st.sampled_from(["a", "b"]),
)


@given(st.lists(any_record, max_size=8), st.randoms(use_true_random=False))
def test_merging_is_indifferent_to_order_and_doubles(records: list[Record], random: Random) -> None:
    shuffled = [*records, *records]
    random.shuffle(shuffled)
    ranks = {key: [each.rank for each in told] for key, told in merge_records(records).items()}
    assert {key: [each.rank for each in told] for key, told in merge_records(shuffled).items()} == ranks
