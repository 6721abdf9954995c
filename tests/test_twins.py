"""Equal bytes in one dataset: whoever has them is told of another one who has."""

from hypothesis import given
from hypothesis import strategies as st

from builders import record
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.records import Record
from prefect_trinetra.twins import Twins

DIGESTS = st.lists(st.sampled_from([None, "aa", "bb", "cc"]), max_size=12)


def image(number: int, sha256: str | None, suspect: str | None = None) -> Record:
    return record(index=number, file_name=f"images/{number:02}.png", sha256=sha256, suspect=suspect)


@given(DIGESTS)
def test_exactly_the_images_that_are_not_alone_are_suspect(digests: list[str | None]) -> None:
    """Each of them, and the file it is said to equal is another one with the same bytes."""
    records = [image(number, sha256) for number, sha256 in enumerate(digests)]
    twins = Twins.of(records)
    by_name = {each.file_name: each for each in records}
    for each in records:
        said = twins.told(each).suspect
        alone = each.sha256 is None or digests.count(each.sha256) == 1
        assert (said is None) == alone
        if said is not None:
            other = by_name[said.removeprefix("same bytes as ").split(" and ")[0]]
            assert other is not each
            assert other.sha256 == each.sha256


def test_how_many_more_there_are_is_said() -> None:
    records = [image(number, "aa") for number in range(1002)]
    assert Twins.of(records).told(records[0]).suspect == "same bytes as images/01.png and 1,000 more"


def test_what_was_odd_before_stays_said() -> None:
    records = [image(0, "aa", "flat"), image(1, "aa")]
    assert Twins.of(records).told(records[0]).suspect == "flat; same bytes as images/01.png"


def test_a_record_without_a_file_equals_nothing() -> None:
    records = [image(0, "aa"), record(Outcome.DAMAGED, sha256="aa")]
    assert [Twins.of(records).told(each).suspect for each in records] == [None, None]
