"""A storage whose package is not installed: the message names what to type next."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# In a process of its own, since here the packages are installed and imported.
WITHOUT_PACKAGES = """
import json, sys

BLOCKED = {"s3fs", "gcsfs", "adlfs", "sshfs", "webdav4", "paramiko", "smbclient"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.inputs import open_input
from prefect_trinetra.storage import Storage

def said(call):
    try:
        call()
    except ConfigurationError as error:
        return str(error)

print(json.dumps({url: [said(lambda: Storage.open(url)), said(lambda: open_input(url))] for url in sys.argv[1:]}))
"""
EXTRAS = {
    "s3://bucket/a.csv": "s3",
    "gs://bucket/a.csv": "gcs",
    "gcs://bucket/a.csv": "gcs",
    "abfs://bucket/a.csv": "azure",
    "az://bucket/a.csv": "azure",
    "sftp://host/a.csv": "sftp",
    "ssh://host/a.csv": "sftp",
    "webdav://host/a.csv": "webdav",
    "webdavs://host/a.csv": "webdav",
    "simplecache::webdavs://host/a.csv": "webdav",
    "simplecache::s3://bucket/a.csv": "s3",
}
OTHER = "smb://host/share/a.csv"


@pytest.fixture(scope="module")
def said() -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PACKAGES, *EXTRAS, OTHER], capture_output=True, text=True, check=True
    )
    answers: dict[str, list[str]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("url", EXTRAS)
def test_a_missing_package_is_named_by_its_extra(url: str, said: dict[str, list[str]]) -> None:
    """As a dataset and as a manifest."""
    for sentence in said[url]:
        assert f"is not installed: pip install 'prefect-trinetra[{EXTRAS[url]}]'" in sentence


def test_a_package_that_no_extra_brings_is_said_to_be_missing(said: dict[str, list[str]]) -> None:
    """Where to find its name."""
    for sentence in said[OTHER]:
        assert "the package that opens smb:// is not installed; see fsspec's list of file systems" in sentence
