"""A dataset hub on loopback that keeps repositories as folders: the part of the Hub's API that an upload speaks."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "hf_made_up_token"
LARGE = (".tar", ".parquet", ".png")


@dataclass
class FakeHub:
    """`folder` holds each repository under its name; `refusals` are answered to so many commits first."""

    folder: Path
    url: str = ""
    refusals: int = 0
    commits: list[list[str]] = field(default_factory=list)
    private: dict[str, bool] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What points the Hub's library here, without the machine's own login and cache."""
        home = str(self.folder.parent / "home")
        # Tests that load exports forbid the network to their own process.
        online = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
        return {"HF_ENDPOINT": self.url, "HF_TOKEN": TOKEN, "HF_HOME": home, **online}

    def files(self, repository: str) -> dict[str, str]:
        """The files of a repository, each with its SHA-256."""
        root = self.folder / repository
        paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
        return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    def commit(self, repository: str, lines: list[dict[str, Any]]) -> None:
        """Applies the operations of one commit."""
        root = self.folder / repository
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "file":
                    _write(root / value["path"], base64.b64decode(value["content"]))
                case "lfsFile":
                    _write(root / value["path"], self.blob(value["oid"]).read_bytes())
                case "deletedFile":
                    (root / value["path"]).unlink()
                case _:
                    assert line["key"] == "header"
        self.commits.append([line["value"]["path"] for line in lines if line["key"] != "header"])

    def blob(self, oid: str) -> Path:
        return self.folder.parent / "blobs" / oid


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@contextmanager
def running_hub(folder: Path) -> Iterator[FakeHub]:
    """A hub on a free port."""
    hub = FakeHub(folder / "repositories")

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: FakeHub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer({"error": "Invalid credentials"}, 401)
        elif path == "/api/whoami-v2":
            self._answer({"name": "ann", "type": "user", "auth": {"accessToken": {"role": "write"}}})
        elif path.startswith("/api/datasets/") and "/tree/" in path:
            names = self.served.files(self._repository(path))
            self._answer([{"type": "file", "path": name, "size": 1, "oid": oid[:40]} for name, oid in names.items()])
        else:
            self._answer({"error": f"no such page {path}"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        if path == "/api/repos/create":
            self._create(json.loads(body))
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            asked = json.loads(body)["files"]
            self._answer({"files": [self._mode(file["path"]) for file in asked]})
        elif path.endswith("/info/lfs/objects/batch"):
            self._answer({"transfer": "basic", "objects": [self._object(each) for each in json.loads(body)["objects"]]})
        elif "/commit/" in path:
            self._commit(path, body)

    def do_PUT(self) -> None:
        oid = self.path.rpartition("/")[2]
        data = self.rfile.read(int(self.headers["Content-Length"]))
        _write(self.served.blob(oid), data)
        self.served.uploads.append(oid)
        self._answer({})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked.get('organization') or 'ann'}/{asked['name']}"
        url = f"{self.served.url}/datasets/{name}"
        if name in self.served.private:
            self._answer({"error": "You already created this dataset repo", "url": url}, 409)
            return
        self.served.private[name] = asked.get("private") or asked.get("visibility") == "private"
        self._answer({"url": url, "name": name, "id": "1"})

    def _mode(self, path: str) -> dict[str, Any]:
        return {"path": path, "uploadMode": "lfs" if path.endswith(LARGE) else "regular", "shouldIgnore": False}

    def _object(self, asked: dict[str, Any]) -> dict[str, Any]:
        known = self.served.blob(asked["oid"]).exists()
        actions = {} if known else {"upload": {"href": f"{self.served.url}/blobs/{asked['oid']}", "header": {}}}
        return {"oid": asked["oid"], "size": asked["size"]} | ({"actions": actions} if actions else {})

    def _commit(self, path: str, body: bytes) -> None:
        if self.served.refusals:
            self.served.refusals -= 1
            self._answer({"error": "You have no right to do that"}, 403)
            return
        self.served.commit(self._repository(path), [json.loads(line) for line in body.splitlines() if line])
        oid = f"{len(self.served.commits):040x}"
        self._answer(
            {
                "commitUrl": f"{self.served.url}/datasets/{self._repository(path)}/commit/{oid}",
                "commitOid": oid,
                "success": True,
            }
        )

    def _repository(self, path: str) -> str:
        return "/".join(path.split("/")[3:5])

    def _answer(self, document: Any, status: int = 200) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's word
        """Says nothing."""
