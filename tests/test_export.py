"""What an export does when it is broken off, repeated, or finds what it did not expect."""

from __future__ import annotations

import json
import logging
import signal
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from command import started, wait_until
from exports import base_name, export, kites, metadata, sha256, tar_samples
from object_store import running_object_store
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.export.exporting import export_dataset
from prefect_trinetra.export.spec import ExportFormat, ExportSpec
from prefect_trinetra.export.splits import Splits
from prefect_trinetra.local_files import is_temporary
from prefect_trinetra.loop import io_loop
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.storage import Storage
from synthetic import synthetic_dataset

_numbers = count(1)


@pytest.fixture(scope="module")
def dataset(session_shop: SandboxHandle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kites(session_shop, tmp_path_factory.mktemp("dataset"))


def contents(folder: Path) -> dict[str, str]:
    """Every file of an export but its report, which tells the time it took."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "export.json"]
    # What SIGKILL left of a file that was being written; no listing of ours shows it.
    files = [path for path in files if not is_temporary(str(path))]
    return {str(path.relative_to(folder)): sha256(path.read_bytes()) for path in files}


@pytest.mark.parametrize("name", [*ExportFormat])
def test_a_complete_export_is_left_as_it_is(dataset: Path, tmp_path: Path, name: str) -> None:
    """The same words again write nothing; the report is the first one's."""
    first = export(dataset, tmp_path / "out", name)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert export(dataset, tmp_path / "out", name) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == stamps


@pytest.mark.parametrize("name", [*ExportFormat])
def test_an_export_is_the_same_on_any_storage(dataset: Path, tmp_path: Path, name: str) -> None:
    """From a disk to a disk, to memory, to S3 and from there to memory: byte for byte."""
    export(dataset, tmp_path / "out", name, name="kites")
    expected = contents(tmp_path / "out")
    with running_object_store() as server:
        url = f"s3://{server.new_bucket()}"
        there = Storage.open(f"{url}/kites", server.options)
        for path in (path for path in dataset.rglob("*") if path.is_file()):
            io_loop().run(there.upload(path, str(path.relative_to(dataset))))
        export(dataset, f"{url}/out", name, name="kites", to_options=server.options)
        memory = f"memory://export-{next(_numbers)}"
        export(f"{url}/kites", memory, name, name="kites", dataset_options=server.options)
        for storage in (Storage.open(f"{url}/out", server.options), Storage.open(memory)):
            paths = [path for path in io_loop().run(storage.list()) if path != "export.json"]
            found = {path: sha256(io_loop().run(storage.read(path))) for path in paths}
            papers = {"README.md", "croissant.json"}  # they name the folder
            assert {name: each for name, each in found.items() if name not in papers} == {
                name: each for name, each in expected.items() if name not in papers
            }


@pytest.mark.parametrize("name", [*ExportFormat])
def test_a_killed_export_goes_on(tmp_path: Path, name: str) -> None:
    """SIGKILL after two files: the next call keeps what is whole, and the result is that of one that never broke."""
    dataset = synthetic_dataset(tmp_path / "kites", images=600, image_bytes=20_000)
    words = ["export", str(dataset), str(tmp_path / "out"), "--format", name, "--max-shard-megabytes", "1"]
    with started(*words) as process:
        done = tmp_path / "out" / ".done"
        wait_until(lambda: len(list(done.rglob("*.json"))) >= 2, "two files are whole")
        process.send_signal(signal.SIGKILL)
    broken = json.loads((tmp_path / "out" / "export.json").read_text())
    assert not broken["is_complete"]
    report = export(dataset, tmp_path / "out", name, max_shard_bytes=1_000_000)
    assert report.images == 600
    assert report.kept >= 2
    assert all(file.bytes <= 1_000_000 for file in report.files)
    assert not [path for path in (tmp_path / "out" / ".done").rglob("*") if path.is_file()]
    export(dataset, tmp_path / "again", name, max_shard_bytes=1_000_000)
    papers = {"README.md", "croissant.json"}
    first, second = contents(tmp_path / "out"), contents(tmp_path / "again")
    assert {p: d for p, d in first.items() if p not in papers} == {p: d for p, d in second.items() if p not in papers}


def test_another_licence_makes_new_papers_only(dataset: Path, tmp_path: Path) -> None:
    """The files stay; card and Croissant say what is new."""
    export(dataset, tmp_path / "out", "parquet", licence="MIT")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "data").iterdir()}
    report = export(dataset, tmp_path / "out", "parquet", licence="CC0-1.0")
    assert report.kept == 1
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "data").iterdir()} == before
    assert 'license: "cc0-1.0"' in (tmp_path / "out" / "README.md").read_text()


def test_a_lost_file_is_made_again(dataset: Path, tmp_path: Path) -> None:
    """Somebody tidied up: the same command brings back what is missing, and only that."""
    export(dataset, tmp_path / "out", splits=Splits(column="label"))
    expected = contents(tmp_path / "out")
    min((tmp_path / "out" / "data").iterdir()).unlink()
    assert export(dataset, tmp_path / "out", splits=Splits(column="label")).kept == 2
    assert contents(tmp_path / "out") == expected


def test_one_bad_image_costs_no_other(session_shop: SandboxHandle, tmp_path: Path) -> None:
    """A missing and a changed file are named, left out of every table, and the export goes on."""
    dataset = kites(session_shop, tmp_path)
    gone, changed, *rest = sorted(metadata(dataset).values(), key=lambda row: row["file_name"])
    changed_data = (dataset / changed["file_name"]).read_bytes()
    (dataset / gone["file_name"]).unlink()
    (dataset / changed["file_name"]).write_bytes(b"something else")
    report = export(dataset, tmp_path / "out")
    assert set(report.unreadable) == {gone["file_name"], changed["file_name"]}
    assert "missing" in report.unreadable[gone["file_name"]]
    assert "not those that were recorded" in report.unreadable[changed["file_name"]]
    expected = {base_name(row["file_name"]) for row in rest}
    assert {f"{sample['__key__']}.png" for sample in tar_samples(tmp_path / "out")} == expected
    table = pq.read_table(tmp_path / "out" / "metadata.parquet")
    assert set(table["image_file"].to_pylist()) == expected
    assert report.images == len(expected) == 16
    (dataset / changed["file_name"]).write_bytes(changed_data)
    assert export(dataset, tmp_path / "out").images == 17


def test_filters_and_what_is_dropped(dataset: Path, tmp_path: Path) -> None:
    """Rows that fit all columns asked for, any of the values of each; counted, and columns gone."""
    where = {"label": ["sea", "Zürich"], "sample": ["0"]}
    report = export(dataset, tmp_path / "out", "parquet", where=where, drop=frozenset({"user", "tags"}))
    (file,) = (tmp_path / "out" / "data").glob("*.parquet")
    table = pq.read_table(file)
    assert set(table["label"].to_pylist()) == {"sea", "Zürich"}
    assert not {"user", "tags"} & set(table.column_names)
    assert report.left_out == {"where": 18 - report.images}


def test_suspects_are_left_out_by_a_word(session_shop: SandboxHandle, tmp_path: Path) -> None:
    """What the dataset's table calls suspect."""
    dataset = kites(session_shop, tmp_path)
    table = pq.read_table(dataset / "metadata.parquet")
    marks = ["flat" if number < 3 else None for number in range(table.num_rows)]
    index = table.schema.get_field_index("suspect")
    pq.write_table(table.set_column(index, table.schema.field(index), [marks]), dataset / "metadata.parquet")
    report = export(dataset, tmp_path / "out", "imagefolder", without=frozenset({"suspect"}))
    assert report.left_out == {"suspect": 3}
    assert report.images == 15
    assert len(list((tmp_path / "out").rglob("*.png"))) == 15


def test_splits_by_a_column(dataset: Path, tmp_path: Path) -> None:
    """Its values are the splits, under names that loaders take."""
    report = export(dataset, tmp_path / "out", splits=Splits(column="label"))
    assert {name: split.images for name, split in report.splits.items()} == {"sea": 6, "still_life": 6, "Z_rich": 6}


def test_all_samples_of_a_prompt_can_stay_together(dataset: Path, tmp_path: Path) -> None:
    """With `of` a prompt's pictures are never both trained and tested on."""
    export(dataset, tmp_path / "out", splits=Splits({"train": 0.5, "test": 0.5}, of="prompt"))
    prompts = [{sample["txt"] for sample in tar_samples(tmp_path / "out", split)} for split in ("train", "test")]
    assert prompts[0]
    assert prompts[1]
    assert not prompts[0] & prompts[1]


def test_another_export_is_not_overwritten_unasked(dataset: Path, tmp_path: Path) -> None:
    """It is said; with the word its files go and the new ones come, none of the old left between them."""
    export(dataset, tmp_path / "out", "imagefolder")
    with pytest.raises(ConfigurationError, match="holds an export of another state"):
        export(dataset, tmp_path / "out", "parquet")
    export(dataset, tmp_path / "out", "parquet", overwrite=True)
    assert not list((tmp_path / "out").rglob("*.png"))
    assert len(list((tmp_path / "out" / "data").rglob("*.parquet"))) == 1


def test_somebody_elses_folder_is_left_alone(dataset: Path, tmp_path: Path) -> None:
    """Not even overwrite deletes what is no export."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ConfigurationError, match="is not empty, and what is in it is no export"):
            export(dataset, tmp_path / "thesis", overwrite=overwrite)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "mine"


def test_an_export_does_not_go_into_its_dataset(dataset: Path) -> None:
    """Loaders of the dataset would find its images twice."""
    for folder in (dataset, dataset / "out"):
        with pytest.raises(ConfigurationError, match="lies in the dataset itself"):
            export(dataset, folder)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"where": {"label": ["nothing"]}}, "no image fits"),
        ({"where": {"colour": ["red"]}}, "has no column colour: its columns are file_name"),
        ({"drop": frozenset({"sha256"})}, "it stays"),
        ({"drop": frozenset({"nothing"})}, "has no column nothing"),
        ({"without": frozenset({"ugly"})}, "choose from suspect, duplicate"),
        ({"max_shard_bytes": 1}, "give 1,000,000 to"),
        ({"to": " "}, "say where it is to go"),
    ],
)
def test_what_cannot_be_exported_is_told(
    dataset: Path, tmp_path: Path, words: dict[str, object], sentence: str
) -> None:
    """One sentence, and nothing is written."""
    with pytest.raises(ConfigurationError, match=sentence):
        export_dataset(ExportSpec(**{"dataset": str(dataset), "to": str(tmp_path / "out"), **words}))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_dataset_is_told(tmp_path: Path) -> None:
    """The likeliest cause is a wrong address."""
    with pytest.raises(ConfigurationError, match="is no dataset: check the address"):
        export(tmp_path / "nowhere", tmp_path / "out")


@pytest.fixture(scope="module", autouse=True)
def quiet_libraries() -> None:
    """mlcroissant logs what the specification recommends, such as a licence."""
    logging.getLogger("absl").setLevel(logging.ERROR)
