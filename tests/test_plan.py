"""What a plan says of each row: new, known, double, bad, too dear. Nothing is spent on finding out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import attempt, record
from prefect_trinetra.errors import DatasetError
from prefect_trinetra.known import KnownState
from prefect_trinetra.ledger import Attempt, merge_attempts
from prefect_trinetra.manifest import Manifest
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.plan import Plan, PlanTerms, QualityTotals
from prefect_trinetra.planner import make_plan
from prefect_trinetra.records import Record, merge_records
from prefect_trinetra.request import ImageParameters, ImageRequest
from prefect_trinetra.shards import PlannedRows, ShardRow, read_shard, shard_bytes
from prefect_trinetra.standing import Action, Rules

Row = dict[str, Any]
KITES: list[Row] = [{"prompt": f"a kite, number {number}", "label": f"000{number}"} for number in range(5)]
TERMS = PlanTerms()


class Planned:
    """A plan and its rows."""

    def __init__(self, manifest: Any, known: KnownState, terms: PlanTerms, rows_file: Path, **reading: Any) -> None:
        self.file = rows_file
        self.plan = make_plan(Manifest.open(manifest, **reading), known, terms, rows_file)
        self.rows: list[Row] = pq.read_table(rows_file).to_pylist()

    @property
    def actions(self) -> list[str]:
        return [row["action"] for row in self.rows]


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    return tmp_path / "rows.parquet"


def known_of(attempts: list[Attempt], records: list[Record] | None = None) -> KnownState:
    return KnownState(merge_attempts(attempts), merge_records(records or []))


def finished(rows: list[Row]) -> KnownState:
    """A dataset in which these rows have succeeded."""
    keys = [ImageRequest(row["prompt"]).key() for row in rows]
    return known_of(
        [attempt(key=key, job_id=f"job-{key[:8]}", outcome="succeeded") for key in keys],
        [record(key=key) for key in keys],
    )


def test_new_rows_are_bought_at_their_bound(rows_file: Path) -> None:
    planned = Planned(KITES, KnownState(), TERMS, rows_file)
    assert planned.actions == [Action.BUY] * 5
    assert (planned.plan.to_buy, planned.plan.bound, planned.plan.images) == (5, 35.0, 5)
    assert planned.plan.by_quality == {"medium": QualityTotals(rows=5, images=5, bound=35.0)}


@pytest.mark.parametrize(
    "rows",
    [
        KITES,
        KITES[::-1],
        [row | {"label": "corrected"} for row in KITES],
        [*KITES, KITES[2]],
        KITES[1:],
        [{"note": "new column", **row} for row in KITES],
    ],
    ids=["same", "reordered", "corrected label", "repeated row", "shortened", "new column"],
)
def test_a_finished_dataset_is_free_whatever_was_edited_around_its_prompts(rows: list[Row], rows_file: Path) -> None:
    """Rule: only what is asked for decides about buying; order, labels and repeats do not."""
    planned = Planned(rows, finished(KITES), TERMS, rows_file)
    assert (planned.plan.to_buy, planned.plan.bound) == (0, 0.0)
    assert set(planned.actions) <= {Action.KEEP, Action.DUPLICATE}
    assert planned.plan.outcomes == {"succeeded": len(rows)}


def test_an_edited_prompt_is_a_new_request(rows_file: Path) -> None:
    planned = Planned([KITES[0], {"prompt": "a kite, number 1!"}], finished(KITES), TERMS, rows_file)
    assert planned.actions == [Action.KEEP, Action.BUY]


def test_a_duplicate_names_both_rows_and_keeps_its_own_columns(rows_file: Path) -> None:
    """Rule: paid once, every row keeps what the user wrote beside it, and samples are the way to want two."""
    planned = Planned([*KITES, KITES[1] | {"label": "0009"}], KnownState(), TERMS, rows_file)
    last = planned.rows[-1]
    assert (last["action"], last["first_row"], last["manifest.label"]) == (Action.DUPLICATE, 2, "0009")
    assert planned.plan.bound == 35.0
    assert "row 6 asks for the same as row 2" in planned.plan.remarks
    assert any("samples" in remark for remark in planned.plan.remarks)


def test_samples_are_pictures_of_their_own(rows_file: Path) -> None:
    """Rule: a sample is part of the key: each is bought, and a rerun with more samples buys only the new ones."""
    planned = Planned(KITES, finished(KITES), PlanTerms(samples=3), rows_file)
    assert len({row["key"] for row in planned.rows}) == 15
    assert [(row["row"], row["sample"], row["action"]) for row in planned.rows[:3]] == [
        (1, 0, Action.KEEP),
        (1, 1, Action.BUY),
        (1, 2, Action.BUY),
    ]


def test_repeated_rows_are_duplicates_sample_by_sample(rows_file: Path) -> None:
    planned = Planned([KITES[0], KITES[0]], KnownState(), PlanTerms(samples=2), rows_file)
    assert planned.actions == [Action.BUY, Action.BUY, Action.DUPLICATE, Action.DUPLICATE]


def test_rows_of_two_files_are_duplicates_across_them(rows_file: Path, tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("a kite\n")
    planned = Planned([str(tmp_path / "one.txt"), str(tmp_path / "two.txt")], KnownState(), TERMS, rows_file)
    assert planned.actions == [Action.BUY, Action.DUPLICATE]


def test_an_invalid_row_is_named_and_costs_nobody_else(rows_file: Path) -> None:
    planned = Planned([KITES[0], {"prompt": " "}, KITES[1] | {"n": "2.5"}], KnownState(), TERMS, rows_file)
    assert planned.actions == [Action.BUY, Action.INVALID, Action.INVALID]
    assert (planned.plan.invalid, planned.plan.outcomes["invalid"]) == (2, 2)
    assert all(row["reason"] for row in planned.rows[1:])
    assert planned.plan.remarks[0].startswith("row 2 (")


def test_what_the_cap_does_not_cover_is_estimated(rows_file: Path) -> None:
    """Rule: in order, each row that still fits; what the run has spent before counts."""
    rows = [{"prompt": "dear", "quality": "high"}, {"prompt": "cheap", "quality": "low"}, *KITES[:2]]
    planned = Planned(rows, KnownState(), PlanTerms(max_credits=20.0, spent_before=7.0), rows_file)
    assert (planned.plan.over_cap, planned.plan.bound, planned.plan.bound_over_cap) == (2, 31.0, 21.0)
    assert planned.plan.outcomes == {"over_budget": 2, "pending": 2}


def test_an_accounts_own_prices_replace_the_list(rows_file: Path) -> None:
    planned = Planned(KITES, KnownState(), PlanTerms(account_prices={"medium": 2.5}), rows_file)
    assert planned.plan.bound == 12.5


def test_a_job_that_is_out_is_collected_at_no_cost(rows_file: Path) -> None:
    key = ImageRequest(KITES[0]["prompt"]).key()
    planned = Planned(KITES, known_of([attempt(key=key)]), TERMS, rows_file)
    assert planned.actions == [Action.COLLECT, *[Action.BUY] * 4]
    assert (planned.plan.to_collect, planned.plan.bound) == (1, 28.0)


def test_a_job_whose_row_was_edited_away_is_collected_too(rows_file: Path) -> None:
    """Rule: nothing bought is lost, not even by an edit of the manifest: the ledger knows the request."""
    gone = ImageRequest("a kite that was corrected", n=2)
    out = attempt(key=gone.key(), request='{"prompt":"a kite that was corrected","n":2}', bound=14.0)
    planned = Planned(KITES, known_of([out]), TERMS, rows_file)
    assert (planned.plan.rows, planned.plan.to_collect, planned.plan.to_buy) == (5, 1, 5)
    assert any("1 jobs of rows that the manifest has no more" in remark for remark in planned.plan.remarks)
    rows = PlannedRows(rows_file)
    row = rows.at(5)
    rows.close()
    assert (row.key, row.request, row.job) == (gone.key(), gone, attempt(key=gone.key(), bound=14.0))


def test_a_column_that_is_called_like_one_of_ours_is_kept_apart(rows_file: Path) -> None:
    """Rule: no column of the user's hides one of ours, nor the other way round."""
    planned = Planned(
        [{"prompt": "a kite", "key": "mine", "row": "x9", "action": "fly"}], KnownState(), TERMS, rows_file
    )
    (row,) = planned.rows
    assert (row["manifest.key"], row["manifest.row"], row["manifest.action"]) == ("mine", "x9", "fly")
    assert (row["row"], row["action"], len(row["key"])) == (1, Action.BUY, 64)


def test_plan_json_gives_the_plan_back(rows_file: Path) -> None:
    plan = Planned([*KITES, KITES[0], {"prompt": ""}], KnownState(), TERMS, rows_file).plan
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"remarks": [], "unheard_of": 1}'])
def test_what_is_no_plan_is_refused(data: bytes) -> None:
    with pytest.raises(DatasetError, match="make a new plan"):
        Plan.from_json(data)


REQUESTS = st.builds(
    ImageRequest,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip),
    quality=st.sampled_from(["low", "medium", "high", "auto"]),
    n=st.integers(1, 4),
    aspect_ratio=st.sampled_from(["1:1", "16:9", "auto", "raw:1024x1024"]),
    output_format=st.sampled_from(["jpeg", "webp"]),
    output_compression=st.none() | st.integers(0, 100),
    user=st.none() | st.just("someone"),
    image_url=st.none() | st.just("https://example.com/cat.png?X-Amz-Signature=abc"),
)


@settings(max_examples=50, deadline=None)
@given(REQUESTS)
def test_a_request_comes_through_plan_and_shard_file_unchanged(request: ImageRequest) -> None:
    """Law: what is sent is what was hashed; else a rerun would not know what this run bought."""
    row = ShardRow(1, request.key(), 0, 1, 7.0, request)
    (read,) = read_shard(shard_bytes([row]))
    assert (read.request.key(), read.request.body()) == (request.key(), request.body())


def test_parameters_of_the_run_come_through_the_plan(rows_file: Path) -> None:
    parameters = ImageParameters(quality="low", n=3, output_format="webp", output_compression=40, aspect_ratio="3:2")
    Planned(KITES, KnownState(), TERMS, rows_file, parameters=parameters)
    rows = PlannedRows(rows_file)
    row = rows.at(4)
    rows.close()
    assert row.key == row.request.key() == ImageRequest(KITES[4]["prompt"], **dict(parameters)).key()


def test_a_whole_benchmark_is_planned_row_by_row(parti_prompts: Path, rows_file: Path) -> None:
    """PartiPrompts: 1,632 rows under its own column names, carried through; its categories are columns of the plan."""
    planned = Planned(str(parti_prompts), KnownState(), TERMS, rows_file, columns={"prompt": "Prompt"})
    assert (planned.plan.rows, planned.plan.to_buy + planned.plan.duplicates) == (1632, 1632)
    assert planned.plan.bound == 7.0 * planned.plan.to_buy
    assert {"manifest.Category", "manifest.Challenge"} <= planned.rows[0].keys()


def test_a_used_up_failure_says_so(rows_file: Path) -> None:
    key = ImageRequest(KITES[0]["prompt"]).key()
    failures = [attempt(key=key, attempt=number, job_id=f"job-{number}", outcome="failed") for number in (1, 2)]
    terms = PlanTerms(rules=Rules(frozenset({Outcome.FAILED}), max_attempts=2))
    planned = Planned(KITES[:1], known_of(failures), terms, rows_file)
    assert planned.actions == [Action.KEEP]
    assert "max_attempts" in planned.rows[0]["reason"]
