"""Equal bytes in one dataset: whoever has them is told of another one who has."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.twins import twin_suspects

DIGESTS = st.lists(st.sampled_from([None, "aa", "bb", "cc"]), max_size=12)
IMAGES = pa.schema([(name, pa.string()) for name in ("file_name", "sha256", "suspect")])


def told(digests: list[str | None], suspects: list[str | None] | None = None) -> list[str | None]:
    """What is suspect about images/00.png and those that follow."""
    names = [f"images/{number:02}.png" for number in range(len(digests))]
    columns = {"file_name": names, "sha256": digests, "suspect": suspects or [None] * len(digests)}
    said: list[str | None] = twin_suspects(pa.table(columns, IMAGES), np.arange(len(digests))).to_pylist()
    return said


@given(DIGESTS)
def test_exactly_the_images_that_are_not_alone_are_suspect(digests: list[str | None]) -> None:
    """Each of them, and the file it is said to equal is another one with the same bytes."""
    for number, said in enumerate(told(digests)):
        digest = digests[number]
        assert (said is None) == (digest is None or digests.count(digest) == 1)
        if said is not None:
            other = int(said.removeprefix("same bytes as images/").split(".png")[0])
            assert other != number
            assert digests[other] == digest


def test_how_many_more_there_are_is_said() -> None:
    assert told(["aa"] * 1002)[0] == "same bytes as images/01.png and 1,000 more"


def test_what_was_odd_before_stays_said() -> None:
    assert told(["aa", "aa"], ["flat", None])[0] == "flat; same bytes as images/01.png"
