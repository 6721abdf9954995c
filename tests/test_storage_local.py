"""What a storage promises on a local disk, where processes are killed, disks fill up and folders are in the way."""

import asyncio
import hashlib
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prefect_trinetra.errors import StorageError, StorageUnavailable
from prefect_trinetra.storage import Storage

WAIT_SECONDS = 30.0


def wait_until(predicate: Callable[[], bool], description: str) -> None:
    """Waits for what another process does; only a broken run ever reaches the time-out."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not predicate():
        assert time.monotonic() < deadline, f"waited in vain until {description}"
        time.sleep(0.005)


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


ENDLESS_WRITER = """
    import asyncio, hashlib, itertools, os, sys
    from prefect_trinetra.storage import Storage

    async def write_on() -> None:
        storage = Storage.open(sys.argv[1])
        for number in itertools.count():
            data = os.urandom(1_000_000) * 4
            await storage.write(f"{number % 3}/{hashlib.sha256(data).hexdigest()}", data)

    asyncio.run(write_on())
"""


@pytest.mark.parametrize("files_before_the_kill", [1, 4, 9])
def test_a_killed_writer_leaves_whole_files(tmp_path: Path, files_before_the_kill: int) -> None:
    """Whenever SIGKILL comes: every file that is listed has every byte."""
    storage = Storage.open(str(tmp_path))
    with started(ENDLESS_WRITER, str(tmp_path)) as writer:
        wait_until(lambda: len(asyncio.run(storage.list())) >= files_before_the_kill, "the writer wrote")
        writer.send_signal(signal.SIGKILL)
    for path in asyncio.run(storage.list()):
        assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() == path.rpartition("/")[2]


CREATOR = """
    import asyncio, sys
    from prefect_trinetra.storage import Storage

    async def create_all() -> None:
        storage = Storage.open(sys.argv[1])
        for number in range(500):
            if await storage.create(f"leases/{number}", sys.argv[2].encode()):
                print(number)

    asyncio.run(create_all())
"""


def test_two_processes_never_create_one_name_both(tmp_path: Path) -> None:
    """Five hundred names, two processes at once: each name is won exactly once, with the winner's content."""
    processes = {who: started(CREATOR, str(tmp_path), who) for who in ("a", "b")}
    won = {who: process.communicate(timeout=WAIT_SECONDS)[0].split() for who, process in processes.items()}
    assert sorted(won["a"] + won["b"], key=int) == [str(number) for number in range(500)]
    assert all((tmp_path / "leases" / name).read_text() == who for who, names in won.items() for name in names)
    assert len(list((tmp_path / "leases").iterdir())) == 500


FORKER = """
    import asyncio, os, sys
    from prefect_trinetra.storage import Storage

    storage = Storage.open(sys.argv[1])
    asyncio.run(storage.write("before", b"x"))
    child = os.fork()
    asyncio.run(storage.write("after" if child else "child", b"x"))
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_has_threads_of_its_own(tmp_path: Path) -> None:
    """A storage that was used before the fork works after it, on both sides."""
    with started(FORKER, str(tmp_path)) as forker:
        assert forker.wait(WAIT_SECONDS) == 0
    assert asyncio.run(Storage.open(str(tmp_path)).list()) == ["after", "before", "child"]


LAST_WORDS = """
    import asyncio, atexit, sys
    from prefect_trinetra.storage import Storage

    storage = Storage.open(sys.argv[1])
    asyncio.run(storage.write("first", b"x"))
    atexit.register(lambda: asyncio.run(storage.write("last", b"x", durable=True)))
"""


def test_the_last_segment_is_written_at_exit(tmp_path: Path) -> None:
    """The interpreter starts no threads any more by then: what has to be written is written all the same."""
    with started(LAST_WORDS, str(tmp_path)) as process:
        assert process.wait(WAIT_SECONDS) == 0
    assert asyncio.run(Storage.open(str(tmp_path)).list()) == ["first", "last"]


async def test_addresses_of_one_folder_are_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths, ~ and file:// all lead to the absolute path, which is what the user is shown."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for address in ("set", "./set", "~/set", f"file://{tmp_path}/set", f"{tmp_path}/set/"):
        assert Storage.open(address).url == f"{tmp_path}/set"
    await Storage.open("~/set").write("a", b"x")
    assert (tmp_path / "set" / "a").read_bytes() == b"x"


async def test_a_folder_that_vanished_is_made_again(tmp_path: Path) -> None:
    """Somebody tidied up between two writes."""
    storage = Storage.open(str(tmp_path))
    await storage.write("a/b/1", b"x", durable=True)
    (tmp_path / "a" / "b" / "1").unlink()
    (tmp_path / "a" / "b").rmdir()
    await storage.write("a/b/2", b"x", durable=True)
    assert await storage.list() == ["a/b/2"]


async def test_files_get_the_rights_that_the_user_wants(tmp_path: Path) -> None:
    """The umask decides, as for any program: a dataset is shared with the group where that is the custom."""
    before = os.umask(0o027)
    try:
        await Storage.open(str(tmp_path)).write("a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


async def test_linked_folders_are_listed_and_odd_files_are_not(tmp_path: Path) -> None:
    """A folder may lie on another disk behind a link; a pipe or a dangling link is no image."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1").write_bytes(b"x")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "set" / "pipe")
    assert await Storage.open(str(tmp_path / "set")).list() == ["linked/1"]


async def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    """The dataset's folder can't be made below a file."""
    (tmp_path / "notes.txt").write_text("mine")
    storage = Storage.open(str(tmp_path / "notes.txt" / "set"))
    with pytest.raises(StorageError, match="a file stands where a folder is needed") as caught:
        await storage.probe()
    assert not isinstance(caught.value, StorageUnavailable)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a file system that nobody may write to")
async def test_a_folder_that_nobody_may_write_to_is_told() -> None:
    """Before anything is spent, with what to do about it."""
    with pytest.raises(StorageError, match=r"check the rights|read-only"):
        await Storage.open("/sys/kernel").probe()


OVERFULL = """
    import asyncio, resource, signal, sys
    from prefect_trinetra.errors import StorageError
    from prefect_trinetra.storage import Storage

    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    storage = Storage.open(sys.argv[1])
    try:
        asyncio.run(storage.write("images/large", b"x" * 20_000))
    except StorageError as error:
        print(error)
"""


def test_a_write_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    """Half of the file was written when the space ended: neither the file nor its temporary name remains."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    with started(OVERFULL, str(tmp_path)) as process:
        said = process.communicate(timeout=WAIT_SECONDS)[0]
    assert "images/large failed: the file is larger than" in said
    assert list((tmp_path / "images").iterdir()) == []
