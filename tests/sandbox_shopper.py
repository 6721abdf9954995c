"""A customer of the sandbox who knows the provider's page and nothing of our client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import httpx
from PIL import Image

from prefect_trinetra.sandbox.process import SandboxHandle, running_sandbox

SUBMIT_PATH = "/v1/image/gpt-image-2"


class Shopper:
    """Submits, looks and downloads over plain httpx; follows no redirect and judges nothing."""

    def __init__(self, sandbox: SandboxHandle, http: httpx.Client) -> None:
        self.sandbox = sandbox
        self.http = http
        self.key = {"X-API-Key": sandbox.api_key}

    def submit(self, prompt: str = "a lighthouse", **fields: Any) -> httpx.Response:
        """POST a request body of these fields; `headers` are added to the key's."""
        headers = self.key | fields.pop("headers", {})
        body = {"prompt": prompt, **fields}
        return self.http.post(self.sandbox.url + SUBMIT_PATH, json=body, headers=headers)

    def buy(self, prompt: str = "a lighthouse", **fields: Any) -> dict[str, Any]:
        """Submit and return the job document of the first look."""
        answer = self.submit(prompt, **fields)
        assert answer.status_code == 202, answer.text
        return self.look(answer.json()["job_id"])

    def look(self, job_id: str) -> dict[str, Any]:
        """GET the job document."""
        answer = self.http.get(f"{self.sandbox.url}/v1/jobs/{job_id}", headers=self.key)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def download(self, url: str) -> httpx.Response:
        """GET an output, without the key."""
        return self.http.get(url)

    def picture(self, prompt: str = "a lighthouse", **fields: Any) -> bytes:
        """The bytes of the first image of a new job."""
        return self.download(urls(self.buy(prompt, **fields))[0]).content


@contextmanager
def open_shop(**options: Any) -> Iterator[Shopper]:
    """A shopper at a sandbox of his own; instant jobs and small, cheap pictures unless said otherwise."""
    quick = {"job_seconds": 0, "pixels": 64, "pictures": "stamped"}
    with running_sandbox(**(quick | options)) as sandbox, httpx.Client(timeout=20) as http:
        yield Shopper(sandbox, http)


def urls(document: dict[str, Any]) -> list[str]:
    """The output URLs of a job document."""
    return [output["url"] for output in document["output"]["outputs"]]


def opened(content: bytes) -> Image.Image:
    """The image in these bytes, decoded to its last pixel."""
    image = Image.open(BytesIO(content))
    image.load()
    return image
