"""What a run's page says, as text: no server needed."""

from __future__ import annotations

import base64
import io
import itertools
import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.tasks.artifacts import ProgressBar, artifact_key, plain_markdown
from prefect_trinetra.tasks.run_page import failures_table, summary
from prefect_trinetra.thumbnails import MAX_URI_CHARACTERS, URI_START, thumbnail, thumbnail_uri

REPORT = DatasetReport(
    dataset_url="s3://bucket/cats",
    images_url="s3://bucket/cats/images",
    metadata_url="s3://bucket/cats/metadata.parquet",
    rows_url="s3://bucket/cats/rows.parquet",
    failures_url="s3://bucket/cats/failures.jsonl",
    run_id="run",
    plan_id="plan",
    rows=1_632,
    kept=5,
    duplicates=2,
    images=1_600,
    outcomes={outcome.value: 0 for outcome in Outcome} | {"succeeded": 1_600, "pending": 32},
    credits_bound=4_896,
    credits_charged=4_800,
    credits_unknown=3,
    max_credits=5_000,
    cap=5_000,
    stopped="the run's deadline has passed",
    remarks=["row 7 asks for the same as row 3"],
)


@given(dataset=st.text())
def test_every_dataset_has_a_key_that_prefect_takes(dataset: str) -> None:
    """Small letters, digits and dashes, whatever the dataset is called."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-summary", artifact_key(dataset, "summary"))


def test_the_key_says_which_dataset() -> None:
    """By the last part of its address."""
    assert artifact_key("s3://bucket/Small Cats/", "progress") == "small-cats-progress"


def test_the_summary_says_what_a_person_asks() -> None:
    """What became of the rows (those outcomes that any row has), what it cost, where things lie, what to know."""
    text = summary(REPORT)
    for said in ("| succeeded | 1,600 |", "| pending | 32 |", "**4,800 credits**", "the cap was 5,000", "deadline"):
        assert said in text
    assert "| refused |" not in text
    assert "metadata.parquet" in text
    assert "row 7 asks for the same" in text


def test_the_summary_says_how_fast_it_went() -> None:
    """What this run brought in, not what was there."""
    text = summary(REPORT.model_copy(update={"images_made": 1_500, "seconds": 100.0}))
    assert "**1,500 images** came in 100 s: 15.0 images/s" in text
    assert "images/s" not in summary(REPORT)


LETTER = {
    "row": 7,
    "prompt": "<img src=x onerror=alert(1)>\n| [here](http://evil) ![](http://evil/pixel) `rm`" + "x" * 500,
    "outcome": "refused",
    "reason": None,
    "retry": "change the row, or --retry moderation",
    "credits_at_most": 7.0,
}


def test_failed_rows_are_a_short_plain_table() -> None:
    """A hostile prompt makes no picture, link or further cell of it; where the rest lies is said."""
    report = REPORT.model_copy(update={"outcomes": REPORT.outcomes | {"refused": 1_234}})
    lines = failures_table(report, [LETTER] * 50).splitlines()
    assert lines[0] == "# The first 50 of 1,234 failed rows"
    rows = lines[4:54]
    assert rows[0].startswith("| 7 | refused: no reason given | ")
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)
    assert not re.search(r"(?<!\\)[<>\[\]`!]", "".join(rows))
    assert max(map(len, rows)) < 400
    assert lines[-1] == "All of them: `s3://bucket/cats/failures.jsonl`"


def test_progress_is_at_most_ten_seconds_old() -> None:
    """A run that looks every second, and brings in a row at each look: the times are those of the updates."""
    passed = 0.0
    bar = ProgressBar("cats", 61, now=lambda: passed, clock=lambda: datetime.fromtimestamp(passed, UTC))
    shown: list[tuple[float, str]] = []
    for row in range(61):
        passed = float(row)
        if bar.due(row):
            shown.append((passed, bar.words(row)))
    assert max(after - before for (before, _), (after, _) in itertools.pairwise(shown)) <= 9
    assert len(shown) == 8
    assert shown[1] == (8.0, "8 of 61 rows done at 00:00:08 UTC")
    assert not bar.due(61)
    assert bar.due(61, last=True)


@given(words=st.text())
def test_words_of_others_stay_words(words: str) -> None:
    """A prompt can't bring HTML, links or tables into the page."""
    plain = plain_markdown(words)
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>\[\]|`]", plain)
    assert "\n" not in plain


def picture(width: int, height: int, mode: str = "RGB") -> bytes:
    sink = io.BytesIO()
    Image.effect_noise((width, height), 120).convert(mode).save(sink, "PNG")
    return sink.getvalue()


def test_a_thumbnail_is_small_whatever_the_picture() -> None:
    """Noise is the hardest to compress; the whole address stays within its limit."""
    for data in (picture(1024, 1024), picture(2000, 300), picture(8, 8), picture(600, 600, "RGBA")):
        uri = thumbnail_uri(data)
        assert len(uri) <= MAX_URI_CHARACTERS
        shown = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(URI_START))))
        assert shown.format == "JPEG"


def test_what_is_transparent_is_shown_on_white() -> None:
    """JPEG has no transparency, and black would be a guess."""
    sink = io.BytesIO()
    Image.new("RGBA", (10, 10), (255, 0, 0, 0)).save(sink, "PNG")
    small = Image.open(io.BytesIO(thumbnail(sink.getvalue())))
    assert small.getpixel((5, 5)) == (255, 255, 255)
