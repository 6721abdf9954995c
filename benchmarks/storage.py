"""Images into a store: our Storage against a bare fsspec loop with the same concurrency, side by side.

Each round writes the same images both ways, in turn, into a fresh folder of the same server on loopback. The bare loop
promises nothing: no temporary name, no error of ours, no path checked. On WebDAV it ends with "423 Locked": webdav4
makes the folder anew for each file. usage: storage.py [--stores seaweed webdav ...]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from places import Place, Store
from prefect_trinetra.storage import Storage
from prefect_trinetra.storage_address import Address
from stores import SHARED, STORES

KILOBYTES = 1000


async def side_by_side(images: int, at_once: int, write: Callable[[int], Awaitable[object]]) -> float:
    """Seconds that all writes take, so many at a time."""
    numbers = iter(range(images))

    async def worker() -> None:
        for number in numbers:
            await write(number)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return time.perf_counter() - started


async def ours(place: Place, images: int, at_once: int, data: bytes) -> float:
    storage = Storage.open(place.url, place.options)
    await storage.probe()
    return await side_by_side(images, at_once, lambda number: storage.write(f"images/{number:05d}.png", data))


async def bare(place: Place, images: int, at_once: int, data: bytes) -> float:
    """fsspec as its documentation shows it, with the same options: connections are not what is compared."""
    address = Address.parse(place.url, place.options)
    fs = await asyncio.to_thread(address.filesystem)
    folder = f"{address.root}/images"
    if not address.backend.needs_bucket:
        await asyncio.to_thread(fs.makedirs, folder, exist_ok=True)

    async def write(number: int) -> None:
        path = f"{folder}/{number:05d}.png"
        if fs.async_impl:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(fs._pipe_file(path, data), fs.loop))  # noqa: SLF001
        else:
            await asyncio.to_thread(fs.pipe_file, path, data)

    await write(0)
    return await side_by_side(images, at_once, write)


def compare(store: Store, rounds: int, images: int, at_once: int, data: bytes) -> dict[str, list[float]]:
    """Images a second of each, round by round; who begins changes."""
    contenders = {"ours": ours, "bare": bare}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        order = list(contenders) if number % 2 else list(reversed(contenders))
        for name in order:
            seconds = asyncio.run(contenders[name](store.new_place(), images, at_once, data))
            if number:  # the first round warms the server up
                rates[name].append(images / seconds)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", nargs="+", choices=SHARED, default=["seaweed"])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--kilobytes", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    data = os.urandom(given.kilobytes * KILOBYTES)
    table = Table(title=f"{given.images} images of {given.kilobytes} KB, {given.at_once} at once: medians of images/s")
    for column in ("store", "ours", "bare fsspec", "ours / bare", "rounds, ours / bare"):
        table.add_column(column, justify="left" if column == "store" else "right")
    for name in given.stores:
        with tempfile.TemporaryDirectory(prefix="storage-") as folder, STORES[name](Path(folder)) as store:
            rates = compare(store, given.rounds, given.images, given.at_once, data)
        mine, theirs = (statistics.median(rates[each]) for each in ("ours", "bare"))
        each_round = " ".join(f"{a / b:.2f}" for a, b in zip(rates["ours"], rates["bare"], strict=True))
        table.add_row(name, f"{mine:.0f}", f"{theirs:.0f}", f"{mine / theirs:.2f}", each_round)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
