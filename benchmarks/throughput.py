"""Images a second and CPU per image: this engine, a raw loop that guarantees nothing, and three mapped Prefect tasks.

All against one sandbox in a process of its own, with instant jobs, in one run. Each contender is a fresh process and is
measured from its first request to its last file, its own CPU only; rounds alternate, medians are printed.

    python benchmarks/throughput.py --images 2000 --pixels 64 1024
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.table import Table

from prefect_trinetra.sandbox.process import running_sandbox

CONCURRENCY = 64
# The mapped flow makes three task runs an image, and records 14-20 of them a second.
MAPPED_IMAGES = 40


@dataclass(frozen=True)
class Figure:
    """One contender's run: wall seconds, CPU seconds of its process, peak memory in MB."""

    images: int
    seconds: float
    cpu_seconds: float
    peak_mb: float


@contextmanager
def measured(images: int) -> Iterator[None]:
    """Prints a Figure as JSON for what happens inside."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), perf_counter()
    yield
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps([images, perf_counter() - start, cpu, after.ru_maxrss / 1024]))


def prompts(images: int) -> list[str]:
    return [f"picture number {number} of a lighthouse" for number in range(images)]


def engine(url: str, key: str, folder: Path, images: int) -> None:
    """This package, with journal, hash, full decode, durable writes, records and views."""
    from prefect_trinetra.run import generate
    from prefect_trinetra.settings import Account, TrinetraSettings
    from prefect_trinetra.spec import RunLimits, RunSpec

    manifest = folder / "prompts.txt"
    manifest.write_text("\n".join(prompts(images)))
    spec = RunSpec(str(manifest), str(folder / "dataset"), limits=RunLimits(jobs_in_flight=CONCURRENCY))
    with measured(images):
        report = generate(spec, Account.of(key, url), TrinetraSettings())
    if report is None or report.images != images:
        sys.exit(f"the engine did not finish: {report}")


def raw(url: str, key: str, folder: Path, images: int) -> None:
    """The loop most people start with: submit, poll, download, write. No journal, no check, no retry."""
    import asyncio

    import httpx
    from httpx_aiohttp import AiohttpTransport

    async def one(client: httpx.AsyncClient, gate: asyncio.Semaphore, number: int, prompt: str) -> None:
        async with gate:
            body = {"prompt": prompt, "quality": "medium", "n": 1, "output_format": "png"}
            job = (await client.post(f"{url}/v1/image/gpt-image-2", json=body)).json()
            look = f"{url}/v1/jobs/{job['job_id']}"
            while (document := (await client.get(look)).json())["status"] != "succeeded":  # noqa: ASYNC110  # a poll
                await asyncio.sleep(0.2)
            output = document["output"]["outputs"][0]["url"]
            answer = await client.get(output, headers={"X-API-Key": ""})
            (folder / f"{number}.png").write_bytes(answer.content)

    async def everything() -> None:
        gate = asyncio.Semaphore(CONCURRENCY)
        async with httpx.AsyncClient(transport=AiohttpTransport(), headers={"X-API-Key": key}, timeout=60) as client:
            await asyncio.gather(*(one(client, gate, n, prompt) for n, prompt in enumerate(prompts(images))))

    with measured(images):
        asyncio.run(everything())


def mapped(url: str, key: str, folder: Path, images: int) -> None:
    """Three mapped Prefect tasks, as most people would write it."""
    import time

    import httpx
    from prefect import flow, task, unmapped

    @task(retries=2)
    def submit(prompt: str, client: httpx.Client) -> str:
        answer = client.post(f"{url}/v1/image/gpt-image-2", json={"prompt": prompt, "quality": "medium", "n": 1})
        return str(answer.json()["job_id"])

    @task(retries=2)
    def poll(job_id: str, client: httpx.Client) -> str:
        while (job := client.get(f"{url}/v1/jobs/{job_id}").json())["status"] != "succeeded":
            time.sleep(0.2)
        return str(job["output"]["outputs"][0]["url"])

    @task(retries=2)
    def download(output: str) -> None:
        (folder / f"{abs(hash(output))}.png").write_bytes(httpx.get(output).content)

    @flow(log_prints=False)
    def images_flow() -> None:
        with httpx.Client(headers={"X-API-Key": key}, timeout=60) as client:
            jobs = submit.map(prompts(images), unmapped(client))
            download.map(poll.map(jobs, unmapped(client))).wait()

    @flow
    def warm() -> None:
        """Starts the temporary server, which is not what is measured."""

    warm()
    with measured(images):
        images_flow()


CONTENDERS: dict[str, Callable[[str, str, Path, int], None]] = {"engine": engine, "raw loop": raw, "mapped": mapped}


def run_contender(name: str, url: str, key: str, images: int) -> Figure:
    """One contender in a process of its own, writing into a folder that is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        command = [sys.executable, __file__, "--contender", name, "--url", url, "--key", key]
        command += ["--folder", folder, "--images", str(images)]
        quiet = {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        quiet |= {"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120", "PREFECT_HOME": f"{folder}/prefect"}
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | quiet, check=False)
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
        return Figure(*json.loads(done.stdout.splitlines()[-1]))


def compare(images: int, pixels: int, rounds: int, names: list[str]) -> dict[str, list[Figure]]:
    """Every contender in turn, `rounds` times, each time against a sandbox with nothing in it."""
    figures: dict[str, list[Figure]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            with running_sandbox(job_seconds=0, pictures="stamped", pixels=pixels) as sandbox:
                count = MAPPED_IMAGES if name == "mapped" else images
                figures[name].append(run_contender(name, sandbox.url, sandbox.api_key, count))
    return figures


def draw(pixels: int, figures: dict[str, list[Figure]]) -> Table:
    table = Table(title=f"{pixels} x {pixels} pictures, instant jobs, {CONCURRENCY} in flight")
    for column in ("contender", "images", "images/s", "CPU ms/image", "against raw", "peak MB"):
        table.add_column(column, justify="left" if column == "contender" else "right")
    rates = {name: statistics.median(f.images / f.seconds for f in runs) for name, runs in figures.items()}
    for name, runs in figures.items():
        cpu = statistics.median(1000 * f.cpu_seconds / f.images for f in runs)
        share = f"{rates[name] / rates['raw loop']:.2f}" if "raw loop" in rates else "-"
        peak = max(f.peak_mb for f in runs)
        table.add_row(name, str(runs[0].images), f"{rates[name]:.0f}", f"{cpu:.2f}", share, f"{peak:.0f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--pixels", type=int, nargs="+", default=[64, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=sorted(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--key", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contender:
        CONTENDERS[given.contender](given.url, given.key, given.folder, given.images)
        return
    for pixels in given.pixels:
        images = given.images if pixels < 512 else min(given.images, 500)
        Console().print(draw(pixels, compare(images, pixels, given.rounds, given.only)))


if __name__ == "__main__":
    main()
