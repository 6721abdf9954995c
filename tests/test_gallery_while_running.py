"""A gallery of a run that is under way, or broke off: the tables as of now, and a page that follows."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from command import started, trinetra, wait_until
from gallery_reading import GalleryOf, written
from prefect_trinetra.gallery.watching import watch_gallery
from prefect_trinetra.gallery.writing import GalleryReport
from prefect_trinetra.loop import io_loop
from prefect_trinetra.sandbox.process import running_sandbox
from prefect_trinetra.storage import Storage

pytestmark = pytest.mark.slow

ROWS = 12


def manifest(folder: Path) -> Path:
    path = folder / "prompts.csv"
    path.write_text("prompt,toy\n" + "".join(f"a kite over field {number},kite\n" for number in range(ROWS)))
    return path


def images(dataset: Path) -> int:
    return len(list(dataset.glob("images/*/*")))


def test_a_page_follows_a_run_and_shows_one_that_broke_off(tmp_path: Path) -> None:
    """Killed in the middle, a run's images are shown and the dataset's tables left alone; the next one is followed."""
    dataset = tmp_path / "kites"
    with running_sandbox(job_seconds=0.3, pixels=32, pictures="stamped") as sandbox:
        words = ("generate", manifest(tmp_path), dataset, "--jobs-in-flight", 2)
        with started(*words, "--no-lease", sandbox=sandbox) as killed:
            wait_until(lambda: images(dataset) > 4, "five images are stored")
            killed.send_signal(signal.SIGKILL)
            killed.wait()
        report = written(dataset)
        assert report.items == ROWS
        assert 0 < report.images < ROWS
        assert not report.is_final
        assert not (dataset / "rows.parquet").exists()
        waiting = [record for record in GalleryOf(dataset).records() if "file_name" not in record]
        assert {record["outcome"] for record in waiting} <= {"pending", "unknown"}
        with started(*words, sandbox=sandbox) as run:
            wait_until((dataset / "leases").exists, "the next run holds the dataset")
            rounds: list[GalleryReport] = []
            storage = Storage.open(str(dataset))
            last = io_loop().run(watch_gallery(storage, rounds.append, pause_seconds=0.1))
            run.communicate()
    assert last.is_final
    assert not rounds[0].is_final
    shown = GalleryOf(dataset).records()
    # What was ordered in the moment of the kill may be unknown: nothing else is missing.
    assert last.images == ROWS - sum(record["outcome"] == "unknown" for record in shown)


def test_where_no_run_is_at_work_watching_ends(tmp_path: Path) -> None:
    """A finished dataset is written once; one that nobody goes on with too, and the command says so."""
    dataset = tmp_path / "kites"
    with running_sandbox(job_seconds=0.05, pixels=32, pictures="stamped") as sandbox:
        trinetra("generate", manifest(tmp_path), dataset, sandbox=sandbox)
    (report,) = (dataset / "runs").iterdir()
    assert "12 images, 0 rows without" in trinetra("gallery", dataset, "--watch").stdout
    report.unlink()
    ended = trinetra("gallery", dataset, "--watch")
    assert (ended.status, "no run is at work" in ended.stdout) == (0, True)
