"""Where keys are among others, by columns."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.settled import KEY_BYTES, places_in

# Some begin alike, and some are the same but for their ends.
keys = st.builds(
    lambda beginning, middle, end: beginning + middle * (KEY_BYTES - 9) + end,
    st.binary(min_size=8, max_size=8) | st.just(b"the same"),
    st.sampled_from([b"a", b"b"]),
    st.binary(min_size=1, max_size=1),
)


def column(values: list[bytes | None], cut: int) -> pa.ChunkedArray:
    """In two chunks, each a part of a larger array."""
    whole = pa.array([None, *values, None], pa.binary(KEY_BYTES))
    begin = min(cut, len(values))
    return pa.chunked_array([whole.slice(1, begin), whole.slice(1 + begin, len(values) - begin)], whole.type)


@given(names=st.lists(keys, unique=True), others=st.lists(st.none() | keys), cut=st.integers(0, 9))
def test_each_key_is_found_where_it_is(names: list[bytes], others: list[bytes | None], cut: int) -> None:
    """Whatever else begins with the same bytes, and in whichever chunks they are."""
    wanted = [*others, *names[::2]]
    expected = [names.index(key) if key is not None and key in names else -1 for key in wanted]
    assert places_in(column([*names], cut), column([*wanted], cut)).tolist() == expected


def test_there_may_be_none() -> None:
    nothing = pa.chunked_array([], pa.binary(KEY_BYTES))
    assert places_in(nothing, nothing).tolist() == []
    assert places_in(nothing, column([b"k" * KEY_BYTES, None], 1)).tolist() == [-1, -1]
