"""The gallery in a real browser: it opens, filters, searches, shows; and hostile words stay words."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser import Window, running_chromium, served, window
from many_images import ManyImages
from prefect_trinetra.gallery.writing import write_gallery
from prefect_trinetra.loop import io_loop
from prefect_trinetra.sandbox.process import SandboxHandle
from prefect_trinetra.storage import Storage
from runs import run

pytestmark = pytest.mark.slow

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "javascript:document.title='owned'",
    "one line\u2028another\u2029a third & <b>bold</b> <!-- -->",
    "{{ 7 * 7 }} ${document.title='owned'} \\u003c\" ' `",
)
ROWS = 1_300


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of some thousand images, more than one part holds; the first prompts are hostile."""
    folder = tmp_path_factory.mktemp("data") / "harbours"
    ManyImages(folder, ROWS, HOSTILE, edge=96).write()
    io_loop().run(write_gallery(Storage.open(str(folder))))
    return folder


@pytest.fixture
def shown(chromium: Browser, made: Path) -> Iterator[Window]:
    """A window on it, opened from its folder; at the end nothing has gone wrong in it."""
    with window(chromium) as opened:
        opened.open(address(made))
        yield opened
        assert opened.complaints == []


def address(dataset: Path, state: str = "") -> str:
    return f"file://{dataset}/gallery/index.html{state}"


def count(page: Page, words: str) -> None:
    expect(page.locator("#count")).to_have_text(words)


def chip(page: Page, words: str) -> Locator:
    return page.locator("#outcomes").get_by_role("button", name=words)


def focused(page: Page) -> Locator:
    """The number of the frame that has the focus."""
    return page.locator("#wall .tile:focus .frame")


def test_a_run_becomes_a_page(chromium: Browser, shop: SandboxHandle, tmp_path: Path) -> None:
    """Images and rows without one, what they cost, and an original of its full size, over HTTP as from a folder."""
    rows = [{"prompt": f"a kite, number {number}", "kind": "kite"} for number in range(3)]
    run(shop, [*rows, {"prompt": "a heron, forbidden-by-moderation", "kind": "bird"}], tmp_path)
    io_loop().run(write_gallery(Storage.open(str(tmp_path))))
    with served(tmp_path) as host, window(chromium) as opened:
        for place in (f"{host}/gallery/", address(tmp_path)):
            page = opened.open(place)
            expect(page.locator("h1")).to_have_text(tmp_path.name)
            expect(page.locator("#figures dd").first).to_have_text("3")
            expect(page.locator(".print img")).to_have_count(3)
            expect(page.locator(".blank")).to_contain_text("blocked by the moderation system")
            page.locator(".tile").first.click()
            assert page.locator("img.original").evaluate("image => image.decode().then(() => image.naturalWidth)") == 32
            expect(page.locator("#record")).to_contain_text("SHA-256")
            page.keyboard.press("Escape")
        assert opened.complaints == []


def test_hostile_words_stay_words(shown: Window) -> None:
    """Prompts that would end a script, bring markup or an address are shown as they are, in the wall and beside it."""
    page = shown.page
    for number, words in enumerate(HOSTILE):
        page.locator(".tile").nth(number).click()
        assert page.locator("h2").evaluate("title => title.textContent") == words
        page.keyboard.press("Escape")
    assert page.title() == "harbours"
    assert page.locator("#wall script, #wall b, #viewer b:not(.remark b)").count() == 0
    assert page.evaluate("[...document.links].every(link => link.protocol === 'file:')")


def test_the_page_lets_no_other_code_in(shown: Window) -> None:
    """Its policy stops markup from strings, inline code and addresses elsewhere, were there ever a hole."""
    page = shown.page
    for attack in (
        "document.body.innerHTML = '<i>'",
        "document.createElement('script').src = 'https://example.org/x.js'",
    ):
        assert page.evaluate(f"() => {{ try {{ {attack}; return false }} catch {{ return true }} }}"), attack
    page.evaluate(
        "() => { try { document.body.setAttribute('onclick', 'document.title = 1') } catch {} document.body.click() }"
    )
    assert page.title() == "harbours"
    asked = "fetch('https://example.org').then(() => false, () => true)"
    assert page.evaluate(asked)
    assert len(shown.complaints) > 2
    shown.complaints.clear()


def test_filters_narrow_and_are_in_the_address(shown: Window) -> None:
    """Outcome, quality, a column, suspects, near-duplicates; the address brings the same view back."""
    page = shown.page
    count(page, "1,300 frames")
    chip(page, "refused").click()
    count(page, "26 of 1,300 frames")
    chip(page, "failed").click()
    count(page, "52 of 1,300 frames")
    page.get_by_label("style").select_option("linocut")
    count(page, "18 of 1,300 frames")
    kept = page.url
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("quality").select_option("medium")
    count(page, "406 of 1,300 frames")
    page.get_by_label("quality").select_option("any")
    chip(page, "suspect").click()
    count(page, "33 of 1,300 frames")
    chip(page, "suspect").click()
    chip(page, "near-duplicate").click()
    count(page, "20 of 1,300 frames")
    page.goto("about:blank")
    shown.open(kept)
    count(page, "18 of 1,300 frames")
    expect(chip(page, "refused")).to_have_attribute("aria-pressed", "true")


def test_search_finds_words_of_prompts_and_columns(shown: Window) -> None:
    """All words have to be there, in any order and case; Escape brings everything back."""
    page = shown.page
    page.keyboard.press("/")
    page.keyboard.type("LINOCUT lighthouse")
    count(page, "0 of 1,300 frames")
    expect(page.locator("#empty")).to_have_text("Nothing matches these filters.")
    page.get_by_label("Search").fill("shore linocut")
    count(page, "431 of 1,300 frames")
    page.get_by_label("Search").fill("ref-7919")
    count(page, "3 of 1,300 frames")
    page.keyboard.press("Escape")
    count(page, "1,300 frames")


def test_order_is_a_choice(shown: Window) -> None:
    """Newest first begins with the last row that has an image; rows without a time come last."""
    page = shown.page
    page.get_by_label("Order").select_option("new")
    expect(page.locator(".frame").first).to_have_text("1300")
    page.get_by_label("Order").select_option("words")
    expect(page.locator(".tile").first).to_have_attribute("aria-label", re.compile("script"))


def test_everything_can_be_done_with_keys(shown: Window) -> None:
    """From the search to the pictures, about among them, one of them opened, the next, back to where it was."""
    page = shown.page
    page.keyboard.press("/")
    page.keyboard.press("Enter")
    expect(focused(page)).to_have_text("1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(focused(page)).to_have_text("3")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(focused(page)).to_have_text(re.compile("^[1-6]$"))
    page.keyboard.press("End")
    expect(focused(page)).to_have_text("1300")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#position")).to_have_text("1 / 1,300")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#position")).to_have_text("3 / 1,300")
    expect(page.locator("#record")).to_contain_text("ref-15838")
    assert "open=3-0-0" in page.url
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).not_to_be_visible()
    expect(focused(page)).to_have_text("3")


def test_only_what_is_on_the_screen_exists(shown: Window) -> None:
    """However many images there are, a few hundred elements and a few packs of thumbnails are."""
    page = shown.page
    for place in ("0", "document.body.scrollHeight / 2", "document.body.scrollHeight"):
        page.evaluate(f"scrollTo(0, {place})")
        expect(page.locator(".print:not(.blank):empty")).to_have_count(0)
        assert 10 < page.locator(".tile").count() < 150


def test_the_colours_follow_the_system_or_the_switch(chromium: Browser, made: Path) -> None:
    """Dark where the system is dark; what a person chooses stays, also when the page is opened anew."""
    with window(chromium, color_scheme="dark") as opened:
        page = opened.open(address(made))

        def paper() -> str:
            return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

        dark = paper()
        page.get_by_role("button", name="Colours").click()
        light = paper()
        assert dark != light
        page.reload()
        page.wait_for_selector("html[data-ready=all]")
        assert paper() == light
        assert opened.complaints == []


def test_it_fits_a_telephone(chromium: Browser, made: Path) -> None:
    """Nothing sticks out of a narrow window; the filters unfold."""
    with window(chromium, viewport={"width": 390, "height": 844}, has_touch=True) as opened:
        page = opened.open(address(made))
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        expect(page.get_by_label("quality")).not_to_be_visible()
        page.get_by_role("button", name="Filters").click()
        page.get_by_label("quality").select_option("low")
        page.locator(".tile").first.click()
        expect(page.locator("#record")).to_contain_text("quality")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert opened.complaints == []


def test_a_page_that_was_replaced_says_so(chromium: Browser, made: Path, tmp_path: Path) -> None:
    """Where the parts of a page are gone it asks to be loaded anew; it does not stay silent."""
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    (gallery / "index.html").write_bytes((made / "gallery" / "index.html").read_bytes())
    with window(chromium) as opened:
        opened.page.goto(address(tmp_path))
        expect(opened.page.locator("#news")).to_contain_text("Reload")


def test_a_page_of_a_run_tells_when_there_is_a_newer_one(chromium: Browser, made: Path, tmp_path: Path) -> None:
    """It looks now and then, and leaves it to the person to load it; what was chosen stays."""
    copy = tmp_path / "copy"
    shutil.copytree(made / "gallery", copy / "gallery")
    index = copy / "gallery" / "index.html"
    index.write_bytes(index.read_bytes().replace(b'"is_final":true', b'"is_final":false'))
    with window(chromium) as opened:
        opened.page.clock.install()
        page = opened.open(address(copy, "#q=linocut"))
        expect(page.locator("#said")).to_contain_text("A run is under way, or broke off.")
        page.clock.fast_forward(20_000)
        expect(page.locator("#news")).not_to_be_visible()
        (copy / "gallery" / "now.js").write_text('galleryPart("now", "later");\n')
        page.clock.fast_forward(20_000)
        expect(page.locator("#news")).to_contain_text("There is a newer version of this page.")
        page.get_by_role("button", name="Reload").click()
        expect(page.get_by_label("Search")).to_have_value("linocut")
        assert opened.complaints == []
