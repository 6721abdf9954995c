"""A dataset with every kind of trouble in it: what is said of each failed row, and what `--retry` opens again."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.reasons import RETRY_WORDS, ReasonClass, RetryWord
from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox
from runs import outcomes, prompts, run, view

PRICE: Final = 7.0
# The fault that leads to each class; None where the row itself does.
TROUBLES: Final[dict[ReasonClass, str | None]] = {
    ReasonClass.MODERATION: None,
    ReasonClass.BAD_PARAMETER: None,
    ReasonClass.INVALID_ROW: None,
    ReasonClass.PROVIDER_FAILURE: "failed_jobs",
    ReasonClass.NO_ANSWER: "lost_answer",
    ReasonClass.NO_JOB_ID: "garbled",
    ReasonClass.SERVER_ERROR: "error_after",
    ReasonClass.BARE_503: "bare_503",
    ReasonClass.NO_OUTPUTS: "empty_outputs",
    ReasonClass.NOT_AN_IMAGE: "non_image_output",
    ReasonClass.URL_EXPIRED: "gone",
}
GOOD: Final = "a kite that flies"


def row_of(reason_class: ReasonClass) -> dict[str, Any]:
    """A row that meets its trouble when its fault is on."""
    match reason_class:
        case ReasonClass.MODERATION:
            return {"prompt": "forbidden-by-moderation"}
        case ReasonClass.BAD_PARAMETER:
            return {"prompt": "a kite of bad_parameter", "aspect_ratio": "raw:odd"}
        case ReasonClass.INVALID_ROW:
            return {"prompt": " "}
        case _:
            return {"prompt": f"a kite of {reason_class}"}


MANIFEST: Final = [*(row_of(each) for each in TROUBLES), {"prompt": GOOD}]


@dataclass(frozen=True)
class Troubled:
    """A dataset that met every trouble, and the provider that made it."""

    sandbox: SandboxHandle
    dataset: Path

    @property
    def failures(self) -> dict[str, dict[str, Any]]:
        """The lines of failures.jsonl, by class."""
        lines = (self.dataset / "failures.jsonl").read_bytes().splitlines()
        return {line["reason_class"]: line for line in map(orjson.loads, lines)}

    def posts(self) -> int:
        submits: int = self.sandbox.bill()["submits"]
        return submits

    def jobs(self) -> Counter[str]:
        """How many jobs the provider accepted for each prompt."""
        return Counter({each["body"]["prompt"]: each["jobs"] for each in self.sandbox.bill()["bodies"]})


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    dataset = tmp_path_factory.mktemp("troubled") / "dataset"
    with running_sandbox(job_seconds=0, pixels=32, pictures="stamped") as sandbox:
        for reason_class, fault in TROUBLES.items():
            if fault is not None:
                sandbox.set_faults(**{fault: 1.0})
                run(sandbox, [row_of(reason_class)], dataset, retry=frozenset())
                sandbox.set_faults(**{fault: 0.0})
        run(sandbox, MANIFEST, dataset, retry=frozenset())
        yield Troubled(sandbox, dataset)


@pytest.fixture
def copied(troubled: Troubled, tmp_path: Path) -> Troubled:
    """The same, to be worked on: at another place, as on another machine."""
    shutil.copytree(troubled.dataset, tmp_path / "copy")
    return Troubled(troubled.sandbox, tmp_path / "copy")


def test_each_row_has_its_class(troubled: Troubled) -> None:
    """Rule: whatever went wrong beside it, a row has one class, of its own outcome, and a reason in words."""
    rows = view(troubled.dataset)
    assert [row["reason_class"] for row in rows] == [*TROUBLES, None]
    assert [row["outcome"] for row in rows] == [*(each.outcome for each in TROUBLES), "succeeded"]
    assert all(row["reason"] for row in rows[:-1])


def test_each_failed_row_is_a_dead_letter(troubled: Troubled) -> None:
    """Rule: in the manifest's order, and it says what rows.parquet says of the row."""
    assert list(troubled.failures) == list(TROUBLES)
    for line, row in zip(troubled.failures.values(), view(troubled.dataset), strict=False):
        shared = row.keys() & line.keys()
        assert {name: line[name] for name in shared} == {name: row[name] for name in shared}


def test_a_dead_letter_says_what_it_may_have_cost(troubled: Troubled) -> None:
    """Rule: a range, and the bill lies in it."""
    told = {each: (line["credits_at_least"], line["credits_at_most"]) for each, line in troubled.failures.items()}
    free, unknown, paid = (0, 0), (0, PRICE), (PRICE, PRICE)
    by_outcome = {Outcome.REFUSED: free, Outcome.FAILED: free, Outcome.UNKNOWN: unknown, Outcome.INVALID: free}
    by_class = {ReasonClass.NO_OUTPUTS: free, ReasonClass.NOT_AN_IMAGE: paid, ReasonClass.URL_EXPIRED: paid}
    assert told == {each: by_class.get(each) or by_outcome[each.outcome] for each in TROUBLES}


def test_a_dead_letter_says_what_to_do(troubled: Troubled) -> None:
    retries = {each: line["retry"] for each, line in troubled.failures.items()}
    assert retries[ReasonClass.NO_ANSWER] == "--retry no_answer"
    assert retries[ReasonClass.MODERATION] == "change the row, or --retry moderation"
    assert retries[ReasonClass.INVALID_ROW] == "correct the row"


def test_nothing_failed_is_an_empty_file(tmp_path: Path, troubled: Troubled) -> None:
    """Rule: it is there after each run, so that its reader need not guess."""
    report = run(troubled.sandbox, [{"prompt": GOOD}], tmp_path)
    assert (tmp_path / "failures.jsonl").read_bytes() == b""
    assert report.failures_url == f"{report.dataset_url}/failures.jsonl"


def test_a_duplicate_of_a_failed_row_costs_nothing_of_its_own(copied: Troubled) -> None:
    """Rule: the sum over the lines is what the failures cost, each order once."""
    damaged = row_of(ReasonClass.NOT_AN_IMAGE)
    run(copied.sandbox, [damaged, damaged], copied.dataset)
    lines = [orjson.loads(line) for line in (copied.dataset / "failures.jsonl").read_bytes().splitlines()]
    assert [(line["duplicate_of"], line["credits_at_most"]) for line in lines] == [(None, PRICE), (1, 0)]


def test_a_run_without_a_word_buys_nothing_again_but_what_failed_for_free(copied: Troubled) -> None:
    """Rule: refused, unknown, damaged and expired rows are kept, run after run."""
    posts, jobs = copied.posts(), copied.jobs()
    for _ in range(2):
        run(copied.sandbox, MANIFEST, copied.dataset)
    assert copied.posts() - posts == 1
    assert copied.jobs() - jobs == Counter({row_of(ReasonClass.PROVIDER_FAILURE)["prompt"]: 1})


@pytest.mark.parametrize("word", [each for each in RETRY_WORDS if each in TROUBLES or isinstance(each, Outcome)])
def test_a_word_opens_just_the_rows_it_names(word: RetryWord, copied: Troubled) -> None:
    """Rule: each row of the class or outcome is sent again once, and no other."""
    named = [each for each in TROUBLES if word in {each, each.outcome}]
    posts, jobs = copied.posts(), copied.jobs()
    report = run(copied.sandbox, MANIFEST, copied.dataset, retry=frozenset({word}))
    assert copied.posts() - posts == len(named)
    accepted = [each for each in named if each.outcome is not Outcome.REFUSED]
    assert copied.jobs() - jobs == Counter(row_of(each)["prompt"] for each in accepted)
    assert report.outcomes["succeeded"] == 1 + len(accepted)
    assert set(report.reason_classes) == set(TROUBLES) - set(accepted)


def test_what_is_left_over_is_no_dead_letter(copied: Troubled) -> None:
    """Rule: the next run goes on with it by itself, so there is nothing for a person to do."""
    report = run(copied.sandbox, [*MANIFEST, *prompts(3)], copied.dataset, retry=frozenset(), max_credits=2 * PRICE)
    assert report.reason_classes["over_cap"] == 1
    assert list(copied.failures) == list(TROUBLES)


def test_a_failed_row_is_tried_three_times_in_all(tmp_path: Path, troubled: Troubled) -> None:
    """Rule: over every run, whichever word is given."""
    sandbox = troubled.sandbox
    sandbox.set_faults(failed_jobs=1.0)
    posts = troubled.posts()
    try:
        for word in (Outcome.FAILED, ReasonClass.PROVIDER_FAILURE, Outcome.FAILED, ReasonClass.PROVIDER_FAILURE):
            report = run(sandbox, prompts(2, "a kite that tears"), tmp_path, retry=frozenset({word}))
    finally:
        sandbox.set_faults(failed_jobs=0.0)
    assert outcomes(report) == {"failed": 2}
    assert troubled.posts() - posts == 2 * 3
