"""A plan made of an earlier one's rows is the one that the manifest gives; and the earlier one is used only there."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import attempt, record
from prefect_trinetra.known import KnownState, load_known
from prefect_trinetra.ledger import Attempt, AttemptState
from prefect_trinetra.manifest import Manifest
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.parts import store_parts
from prefect_trinetra.plan import Plan, PlanTerms
from prefect_trinetra.planner import make_plan
from prefect_trinetra.preparation import plan_only, prepare
from prefect_trinetra.records import Record
from prefect_trinetra.replanning import make_plan_again
from prefect_trinetra.request import ImageRequest
from prefect_trinetra.settings import Account, TrinetraSettings
from prefect_trinetra.settled import Detail
from prefect_trinetra.spec import RunSpec
from prefect_trinetra.standing import Rules
from prefect_trinetra.storage import Storage

Row = dict[str, Any]
PROMPTS: Final = [f"a heron, number {number}" for number in range(2)]
# Those of the manifest, and one that it no longer asks for.
ALL: Final = [*PROMPTS, "an egret"]
_numbers = count()

rows = st.lists(
    st.fixed_dictionaries(
        {
            "prompt": st.sampled_from([*PROMPTS, " "]),
            "quality": st.sampled_from(["low", "medium", "ultra", None]),
            "n": st.sampled_from([None, 2]),
            "label": st.sampled_from(["a", "b"]),
        }
    ),
    min_size=1,
    max_size=12,
)
states = st.dictionaries(
    st.tuples(st.sampled_from(ALL), st.sampled_from(["low", "medium"]), st.sampled_from([1, 2]), st.integers(0, 1)),
    st.sampled_from(["succeeded", "refused", "failed", "unknown", "out", "void"]),
    min_size=4,
)
terms = st.builds(
    PlanTerms,
    rules=st.builds(
        Rules,
        st.sampled_from([frozenset(), frozenset({Outcome.FAILED, Outcome.REFUSED})]),
        max_attempts=st.integers(1, 3),
        honours_idempotency_key=st.booleans(),
    ),
    samples=st.just(2),
    max_credits=st.sampled_from([None, 0.0, 10.0, 30.0]),
)


def known_of(told: dict[tuple[str, str, int, int], str]) -> KnownState:
    """What is loaded of a dataset in which this has become of the requests: what is settled by columns."""
    attempts: list[Attempt] = []
    records: list[Record] = []
    for number, ((prompt, quality, n, sample), state) in enumerate(sorted(told.items())):
        request = ImageRequest(prompt, quality=quality, n=n)
        mine: Row = {"key": request.key(sample), "sample": sample, "job_id": f"job-{number}"}
        mine["request"] = orjson.dumps(request.model_dump()).decode()
        match state:
            case "succeeded":
                attempts.append(attempt(outcome="succeeded", finished_at=130.0, credits_charged=7.0, **mine))
                records += [record(key=mine["key"], sample=sample, index=index) for index in range(n)]
            case "refused":
                attempts.append(attempt(AttemptState.REFUSED, reason="no", **mine | {"job_id": None}))
            case "failed":
                attempts.append(attempt(outcome="failed", finished_at=130.0, reason="broken", **mine))
            case "unknown":
                attempts.append(attempt(AttemptState.UNKNOWN, **mine | {"job_id": None}))
            case "void":
                attempts.append(attempt(AttemptState.VOID, reason="busy", **mine | {"job_id": None}))
            case _:
                attempts.append(attempt(**mine))

    async def stored() -> KnownState:
        storage = Storage.open(f"memory://replanning-{next(_numbers)}")
        await store_parts(storage, "part", attempts, records)
        return await load_known(storage, Detail.COST)

    return asyncio.run(stored())


def facts(plan: Plan) -> Row:
    """All that a plan says but its own name."""
    return {name: value for name, value in asdict(plan).items() if name not in {"id", "made_at"}}


@settings(max_examples=40)
@given(rows=rows, before=states, after=states, terms=terms)
def test_it_is_the_plan_that_the_manifest_gives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row], before: Any, after: Any, terms: PlanTerms
) -> None:
    folder = tmp_path_factory.mktemp("plans")
    manifest = Manifest.open(rows)
    earlier = make_plan(manifest, known_of(before), PlanTerms(samples=2), folder / "earlier.parquet")
    known = known_of(after)
    expected = make_plan(manifest, known, terms, folder / "expected.parquet")
    plan = make_plan_again(earlier, folder / "earlier.parquet", known, terms, folder / "again.parquet")
    assert facts(plan) == facts(expected)
    assert pq.read_table(folder / "again.parquet").equals(pq.read_table(folder / "expected.parquet"))


def test_what_is_read_now_has_the_fingerprint_of_its_rows(tmp_path: Path) -> None:
    """In every format."""
    (tmp_path / "a.csv").write_text("prompt,label\na,1\n")
    (tmp_path / "b.csv").write_text("prompt\nb\n")
    (tmp_path / "a.txt").write_text("a\nb")
    (tmp_path / "a.jsonl").write_text('{"prompt": "a"}\n')
    pq.write_table(pa.table({"prompt": ["a", "b"]}), tmp_path / "a.parquet")
    sources: list[Any] = [str(tmp_path / name) for name in ("*.csv", "a.txt", "a.jsonl", "a.parquet")]
    prints = set()
    for source in [*sources, [{"prompt": "a"}]]:
        manifest = Manifest.open(source)
        now = manifest.fingerprint_now()
        list(manifest.rows())
        assert now == manifest.fingerprint
        prints.add(now)
    assert len(prints) == 5


ACCOUNT: Final = Account.of("made-up-key", "http://127.0.0.1:9")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset with a plan of `prompts.csv` that a run has stored."""
    (tmp_path / "prompts.csv").write_text("prompt,note\na crane,one\na stork,two\n")
    prepare(spec(tmp_path), ACCOUNT, TrinetraSettings(), "run-1")
    return tmp_path


def spec(folder: Path, **more: Any) -> RunSpec:
    return RunSpec(str(folder / "prompts.csv"), str(folder / "set"), **more)


def planned_prompts(folder: Path, spec: RunSpec) -> list[str]:
    """The prompts of the rows of a plan that a run makes now."""
    prepared = prepare(spec, ACCOUNT, TrinetraSettings(), "run-2")
    prompts: list[str] = pq.read_table(folder / "set" / "plans" / prepared.plan.id / "rows.parquet")[
        "prompt"
    ].to_pylist()
    return prompts


def test_a_manifest_that_changed_is_read_anew(dataset: Path) -> None:
    (dataset / "prompts.csv").write_text("prompt,note\na crane,one\na heron,two\n")
    assert planned_prompts(dataset, spec(dataset)) == ["a crane", "a heron"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"template": "{{prompt}}, at dusk"}, ["a crane, at dusk", "a stork, at dusk"]),
        ({"columns": {"prompt": "note"}}, ["one", "two"]),
        ({"samples": 2}, ["a crane", "a crane", "a stork", "a stork"]),
    ],
    ids=["template", "columns", "samples"],
)
def test_a_manifest_that_is_read_in_another_way_is_read_anew(dataset: Path, more: Row, expected: list[str]) -> None:
    assert planned_prompts(dataset, spec(dataset, **more)) == expected


def test_other_prices_are_told(dataset: Path) -> None:
    dear = Account.of("made-up-key", "http://127.0.0.1:9", credits_per_image={"medium": 11.0})
    before = plan_only(spec(dataset), ACCOUNT, TrinetraSettings())
    assert plan_only(spec(dataset), dear, TrinetraSettings()).bound > before.bound


@pytest.mark.parametrize("data", [b"", b"no parquet", None], ids=["empty", "damaged", "gone"])
def test_an_earlier_plan_that_can_not_be_read_costs_nothing_but_time(dataset: Path, data: bytes | None) -> None:
    (rows_file,) = dataset.glob("set/plans/*/rows.parquet")
    if data is None:
        rows_file.unlink()
    else:
        rows_file.write_bytes(data)
    assert planned_prompts(dataset, spec(dataset)) == ["a crane", "a stork"]
