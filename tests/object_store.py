"""A real S3 server on loopback, in memory, for as long as a test module runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.request import Request, urlopen

from moto.server import ThreadedMotoServer

_numbers = count(1)


@dataclass(frozen=True)
class ObjectStore:
    """Where the server is. It takes any key until it is told to check them."""

    url: str

    @property
    def options(self) -> dict[str, Any]:
        """Storage options that name everything, so that no setting of the machine counts."""
        return {
            "key": "made-up-key-id",
            "secret": "made-up-secret",
            "endpoint_url": self.url,
            "client_kwargs": {"region_name": "us-east-1"},
        }

    def new_bucket(self) -> str:
        """The name of a fresh, empty bucket."""
        name = f"bucket-{os.getpid()}-{next(_numbers)}"
        self._send("PUT", f"/{name}")
        return name

    @contextmanager
    def checking_keys(self) -> Iterator[None]:
        """For a while only keys that it issued are accepted, and it issued none."""
        self._send("POST", "/moto-api/reset-auth", b"0")
        try:
            yield
        finally:
            self._send("POST", "/moto-api/reset-auth", b"inf")

    def _send(self, method: str, path: str, body: bytes | None = None) -> None:
        request = Request(self.url + path, data=body, method=method)  # noqa: S310  # our own server on loopback
        request.add_header("Content-Type", "application/octet-stream")
        with urlopen(request) as answer:  # noqa: S310
            answer.read()


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """A server on a free port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield ObjectStore(f"http://{host}:{port}")
    finally:
        server.stop()
