"""One picture from a form, and an edit of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestra import artifacts, credentials_of, latest_flow_run
from prefect_trinetra.errors import TooManyFailures
from prefect_trinetra.flows import agenerate_image, generate_image
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.sandbox.process import SandboxHandle

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads along."""


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[str]:
    """A web server for the files of `tmp_path`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_page_of_the_run_shows_the_picture(shop: SandboxHandle, tmp_path: Path) -> None:
    """Small enough for Prefect's list of artifacts; asked for again it is there already and free."""
    for _ in range(2):
        report = generate_image("a <b>harbour</b>", str(tmp_path / "one"), credentials_of(shop))
    assert (report.images, report.kept, shop.bill()["submits"]) == (1, 1, 1)
    shown = artifacts(latest_flow_run("image of a <b>harbour</b>").id)["one-summary"]
    assert shown.count('<img src="data:image/jpeg;base64,') == 1
    assert "<b>" not in shown
    assert len(shown) < 12_000


async def test_a_picture_is_edited(shop: SandboxHandle, tmp_path: Path, gallery: str) -> None:
    """The provider fetches it from an address; the address itself is published without its signature."""
    credentials, folder = credentials_of(shop), tmp_path / "edits"
    await agenerate_image("a boat", str(folder), credentials)
    (picture,) = folder.glob("images/*/*.png")
    report = await agenerate_image(
        "the boat in red",
        str(folder),
        credentials,
        parameters=ImageParameters(n=2),
        image_url=f"{gallery}/{picture.relative_to(tmp_path)}?signature=hidden",
    )
    assert (report.images, report.credits_charged) == (2, 14)
    assert b"hidden" not in (folder / "metadata.parquet").read_bytes()


def test_a_refusal_is_explained_on_the_page(shop: SandboxHandle, tmp_path: Path) -> None:
    """The flow run fails, and the provider's words are where a person looks."""
    with pytest.raises(TooManyFailures):
        generate_image("forbidden-by-moderation", str(tmp_path / "none"), credentials_of(shop))
    shown = artifacts(latest_flow_run("image of forbidden-by-moderation").id)["none-summary"]
    assert "blocked by the moderation system" in shown
