"""How long a gallery of many images takes to write, and to open, search and filter in Chromium.

The datasets are written by hand: real tables, and links to forty small pictures, so that a hundred thousand fit on a
disk. Opened from its folder and again over HTTP; the page is new to the browser each time, and the median of the
rounds counts.

    python benchmarks/gallery.py --images 1000 10000 100000

Exits with 1 where 10,000 images take more than 2 s until the first screen is whole and a search answers.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page
from rich import box
from rich.console import Console
from rich.table import Table

# What the tests write and open, too.
sys.path.append(str(Path(__file__).parents[1] / "tests"))

from browser import running_chromium, served, window  # found by the line above
from many_images import ManyImages
from prefect_trinetra.gallery.writing import GalleryReport, write_gallery
from prefect_trinetra.loop import io_loop
from prefect_trinetra.storage import Storage

MOST_SECONDS: Final = 2.0
IMAGES_OF_CONTRACT: Final = 10_000
# Milliseconds from a change of the search or of a filter until the page has drawn what follows.
ANSWER: Final = """async ([selector, value, event]) => {
    const control = document.querySelector(selector);
    const began = performance.now();
    const count = document.getElementById("count");
    const changed = new Promise((done) => new MutationObserver(done).observe(count, { childList: true }));
    control.value = value;
    control.dispatchEvent(new Event(event, { bubbles: true }));
    await changed;
    await new Promise(requestAnimationFrame);
    return performance.now() - began;
}"""
JUMP: Final = """async () => {
    const began = performance.now();
    scrollTo(0, document.body.scrollHeight * Math.random());
    await new Promise((done) => {
        const look = () => (document.querySelector(".print:not(.blank):empty") ? requestAnimationFrame(look) : done());
        requestAnimationFrame(() => requestAnimationFrame(look));
    });
    return performance.now() - began;
}"""


@dataclass(frozen=True, slots=True)
class Opened:
    """Seconds until the first screen is whole and the whole page loaded; milliseconds of a search, a filter, a jump."""

    first_screen: float
    whole: float
    search: float
    choice: float
    jump: float


@contextmanager
def place_of(folder: Path, *, over_http: bool) -> Iterator[str]:
    if not over_http:
        yield f"file://{folder}/gallery/index.html"
        return
    with served(folder) as host:
        yield f"{host}/gallery/index.html"


def open_once(browser: Browser, address: str) -> Opened:
    with window(browser) as opened:
        page = opened.page
        began = time.monotonic()
        page.goto(address, wait_until="commit")
        page.wait_for_selector("html[data-ready]")
        page.wait_for_selector(".print img")
        page.wait_for_selector(".print:not(.blank):empty", state="detached")
        first_screen = time.monotonic() - began
        page.wait_for_selector("html[data-ready=all]")
        whole = time.monotonic() - began
        return Opened(first_screen, whole, _answer(page, "#search", "orchard linocut", "input"), *_more(page))


def _more(page: Page) -> tuple[float, float]:
    _answer(page, "#search", "", "input")
    choice = _answer(page, "#choices select", "1", "change")
    _answer(page, "#choices select", "any", "change")
    return choice, statistics.median(float(page.evaluate(JUMP)) for _ in range(5))


def _answer(page: Page, *change: Any) -> float:
    return float(page.evaluate(ANSWER, list(change)))


def written(folder: Path) -> tuple[GalleryReport, float, float]:
    """The report; seconds of the first writing, and of one that finds all thumbnails there."""
    storage = Storage.open(str(folder))
    times = []
    for _ in range(2):
        began = time.monotonic()
        report = io_loop().run(write_gallery(storage))
        times.append(time.monotonic() - began)
    return report, times[0], times[1]


def size_of(folder: Path) -> tuple[int, float]:
    sizes = [file.stat().st_size for file in (folder / "gallery").rglob("*") if file.is_file()]
    return len(sizes), sum(sizes) / 1e6


def row(browser: Browser, images: int, edge: int, rounds: int) -> tuple[list[str], float]:
    with tempfile.TemporaryDirectory(prefix="trinetra-") as name:
        folder = Path(name) / "set"
        ManyImages(folder, images, edge=edge).write()
        report, first, again = written(folder)
        files, megabytes = size_of(folder)
        cells = [f"{report.items:,}", f"{first:.1f}", f"{again:.1f}", f"{files:,}", f"{megabytes:.0f}"]
        screens = []
        for over_http in (False, True):
            with place_of(folder, over_http=over_http) as address:
                opened = [open_once(browser, address) for _ in range(rounds)]
            middle = {name: statistics.median(getattr(one, name) for one in opened) for name in Opened.__slots__}
            screens.append(middle["first_screen"])
            cells += [f"{middle['first_screen']:.2f}", f"{middle['whole']:.2f}"]
        cells += [f"{middle['search']:.0f}", f"{middle['choice']:.0f}", f"{middle['jump']:.0f}"]
    return cells, max(screens)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, IMAGES_OF_CONTRACT])
    parser.add_argument("--edge", type=int, default=384, help="long edge of the pictures, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = Table(box=box.SIMPLE)
    for heading in (
        "rows",
        "write s",
        "again s",
        "files",
        "MB",
        "folder: screen s",
        "whole s",
        "HTTP: screen s",
        "whole s",
        "search ms",
        "filter ms",
        "jump ms",
    ):
        table.add_column(heading, justify="right")
    late = False
    with running_chromium() as browser:
        for images in options.images:
            cells, screen = row(browser, images, options.edge, options.rounds)
            table.add_row(*cells)
            late |= images == IMAGES_OF_CONTRACT and screen > MOST_SECONDS
    Console(width=160).print(table)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
