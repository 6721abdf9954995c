"""Edits fetch their source for real; webhooks tell of a job's end for real."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import orjson
import pytest
from PIL import Image

from sandbox_shopper import Shopper, open_shop, opened, urls


class Neighbour(ThreadingHTTPServer):
    """A small web server: it has one red picture and one text, and keeps what is POSTed to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), NeighbourHandler)
        self.posts: queue.Queue[dict[str, object]] = queue.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class NeighbourHandler(BaseHTTPRequestHandler):
    server: Neighbour

    def do_GET(self) -> None:
        """The picture, or whatever is no picture."""
        self.send_response(200 if self.path != "/missing" else 404)
        self.end_headers()
        self.wfile.write(red_picture() if self.path == "/red.png" else b"just words")

    def do_POST(self) -> None:
        """Keep the document."""
        self.server.posts.put(orjson.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads along."""


def red_picture() -> bytes:
    image, buffer = Image.new("RGB", (80, 40), (200, 30, 30)), BytesIO()
    image.paste((255, 255, 255), (10, 10, 30, 30))
    image.save(buffer, "PNG")
    return buffer.getvalue()


@contextmanager
def open_neighbour() -> Iterator[Neighbour]:
    with Neighbour() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    with open_neighbour() as server:
        yield server


@pytest.fixture(scope="module")
def shop() -> Iterator[Shopper]:
    with open_shop() as shopper:
        yield shopper


def ended(shop: Shopper, job_id: str) -> dict[str, object]:
    while (document := shop.look(job_id))["status"] in {"queued", "processing"}:
        pass
    return document


def test_an_edit_fetches_and_alters_its_source(shop: Shopper, neighbour: Neighbour) -> None:
    """The result is another picture than both the source and what the prompt alone gives."""
    job_id = shop.submit("make it old", image_url=f"{neighbour.url}/red.png").json()["job_id"]
    document = ended(shop, job_id)
    assert document["status"] == "succeeded"
    edited = shop.download(urls(document)[0]).content
    assert opened(edited).size == (64, 64)
    assert edited not in {red_picture(), shop.picture("make it old")}


def test_an_output_can_be_edited_again(shop: Shopper) -> None:
    """A URL of the sandbox's own CDN is as good a source as any."""
    source = urls(shop.buy("a harbour"))[0]
    job_id = shop.submit("as a stamp", image_url=source, output_format="webp").json()["job_id"]
    assert opened(shop.download(urls(ended(shop, job_id))[0]).content).format == "WEBP"


@pytest.mark.parametrize("path", ["/missing", "/words.txt"])
def test_a_bad_source_fails_the_job_and_costs_nothing(shop: Shopper, neighbour: Neighbour, path: str) -> None:
    """The error object names image_url."""
    before = shop.sandbox.bill()["credits"]
    job_id = shop.submit("an edit", image_url=neighbour.url + path).json()["job_id"]
    document = ended(shop, job_id)
    assert document["status"] == "failed"
    assert document["error"]["code"] == "invalid_image_url"  # type: ignore[index]  # an object of the document
    assert document["credits_charged"] == 0
    assert shop.sandbox.bill()["credits"] == before


def test_a_webhook_gets_the_terminal_document(neighbour: Neighbour) -> None:
    """Succeeded or failed, with URLs that work, without anybody looking."""
    with open_shop(webhook_url=neighbour.url, job_seconds=0.05, faults={"failed_jobs": 0.5}) as shop:
        sold = {shop.submit(f"prompt {number}").json()["job_id"] for number in range(10)}
        told = [neighbour.posts.get(timeout=20) for _ in sold]
        succeeded = [document for document in told if document["status"] == "succeeded"]
        assert {document["id"] for document in told} == sold
        assert {document["status"] for document in told} == {"succeeded", "failed"}
        assert shop.download(urls(succeeded[0])[0]).status_code == 200
        assert shop.sandbox.bill()["polls"] == 0


def test_a_webhook_nobody_answers_does_no_harm() -> None:
    """The job ends all the same."""
    with open_neighbour() as server:
        address = server.url
    with open_shop(webhook_url=address) as shop:
        assert shop.buy()["status"] == "succeeded"
