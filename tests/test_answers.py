"""What the answer to a look and to a download means, without any network."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.answers import Answer, Download, downloaded, job_seen, redirect_target
from prefect_trinetra.errors import DownloadError, DownloadExpired, DownloadInterrupted, JobGone, JobUnreadable
from prefect_trinetra.outcomes import Job

STATUS = st.integers(100, 599)
HEADERS = st.dictionaries(st.sampled_from(["content-type", "retry-after", "location", "date"]), st.text())
ANSWERS = st.builds(
    Answer, status=STATUS, headers=HEADERS, body=st.binary(), broken=st.none() | st.text(), cut=st.booleans()
)


@given(ANSWERS)
def test_a_look_brings_a_job_or_one_of_two_errors(answer: Answer) -> None:
    """Only a 200 with a document ends a wait; only four statuses say that the job is not shown."""
    try:
        seen: Job | Exception = job_seen("job_1", answer)
    except (JobGone, JobUnreadable) as error:
        seen = error
    assert isinstance(seen, JobGone) == (answer.status in {401, 403, 404, 410})
    assert answer.status == 200 or isinstance(seen, JobGone | JobUnreadable)


@given(ANSWERS)
def test_a_download_brings_whole_bytes_or_an_error(answer: Answer) -> None:
    """What is broken or cut is never handed on."""
    try:
        got: Download | DownloadError = downloaded("cdn.example", answer)
    except DownloadError as error:
        got = error
    if isinstance(got, Download):
        assert (answer.status, answer.broken, answer.cut) == (200, None, False)
        assert got.data == answer.body != b""
    assert isinstance(got, DownloadExpired) == (answer.status in {401, 403, 404, 410})


@given(st.integers(500, 599) | st.sampled_from([408, 425, 429]))
def test_a_server_in_trouble_is_asked_again(status: int) -> None:
    """Its trouble passes; the picture is still there."""
    with pytest.raises(DownloadInterrupted):
        downloaded("cdn.example", Answer(status, {}, b""))


@given(STATUS, st.text())
def test_only_redirects_redirect(status: int, location: str) -> None:
    """A Location in another answer is not followed."""
    redirects = status in {301, 302, 303, 307, 308}
    assert redirect_target(Answer(status, {"location": location}, b"")) == (location if redirects else None)
    assert redirect_target(Answer(status, {}, b"")) is None
