"""A real Chromium, without a window and without a way to anywhere but this machine."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from machine import program

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
# Far above what any page here takes.
PATIENCE_MILLISECONDS = 30_000


@dataclass
class Window:
    """A page, and everything that went wrong in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str) -> Page:
        """Loads a gallery until all of it is there."""
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready=all]")
        return self.page

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """One browser for many windows."""
    chromium = program("chromium", debian="chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def window(browser: Browser, **options: Any) -> Iterator[Window]:
    """A window of its own: nothing is remembered from others. Its size is 1440 x 900 unless `viewport` says so."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    opened = Window(context.new_page())
    opened.page.on("console", opened.hear)
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    try:
        yield opened
    finally:
        context.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name of the method that it stands for
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, as any web server shows it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
