"""The commands and their flags; what they do is imported only when one of them is called."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from types import FrameType
from typing import Annotated, Final

from cyclopts import App, CycloptsError, Parameter

from prefect_trinetra.cli.exits import Exit, Stopped, exit_status, sentence
from prefect_trinetra.cli.export_options import ExportOptions
from prefect_trinetra.cli.options import (
    MONEY,
    PLACES,
    Answering,
    Debug,
    RunOptions,
    Whose,
    flag,
    parse_options,
    repeatable,
)
from prefect_trinetra.cli.sandbox_options import SandboxOptions
from prefect_trinetra.cli.terminal import Terminal, plain
from prefect_trinetra.cli.webhooks import webhooks

__all__ = ["app", "main", "run_command"]

DEBUG: Final = "--debug"
NO_OPTIONS: Final = RunOptions()
ENVIRONMENT: Final = Whose()
FOR_PEOPLE: Final = Answering()
PLAIN_SANDBOX: Final = SandboxOptions()
PLAIN_EXPORT: Final = ExportOptions()

app = App(
    name="prefect-trinetra",
    help="Turn a file of prompts into a dataset of images: nothing bought twice, nothing bought lost.",
    version=version("prefect-trinetra"),
    help_format="plaintext",
    # Ours to tell apart from SIGTERM.
    suppress_keyboard_interrupt=False,
)


@app.command
def demo(
    folder: str | None = None,
    *,
    verbose: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    debug: Debug = False,
) -> Exit:
    """Turn a manifest into a dataset through Prefect, against the sandbox: no key, no cost, under a minute.

    Parameters
    ----------
    folder
        Where to put it; a new folder trinetra-demo unless said otherwise. Nothing is overwritten.
    verbose
        Show Prefect's log.
    """
    from prefect_trinetra.cli.demo import run_demo

    return run_demo(folder, Terminal(), verbose=verbose)


@app.command
def generate(
    manifest: list[str],
    dataset: str,
    /,
    *,
    options: RunOptions = NO_OPTIONS,
    plan: Annotated[str | None, Parameter(group=MONEY)] = None,
    dry_run: Annotated[bool, flag(MONEY)] = False,
    yes: Annotated[bool, flag(MONEY)] = False,
    whose: Whose = ENVIRONMENT,
    answering: Answering = FOR_PEOPLE,
) -> Exit:
    """Make images from a manifest into a dataset, and go on where an earlier run ended.

    Exit status: 0 failures within tolerance, 1 above it or charged above a price bound, 2 nothing could start and
    nothing was spent.

    Parameters
    ----------
    manifest
        Files of rows (.csv, .tsv, .jsonl, .txt, .parquet, also .gz) or globs; paths or URLs.
    dataset
        The dataset's folder: a path or a URL such as s3://bucket/folder.
    plan
        A plan that `plan --save` saved: carried out as it stands, for no more than its bound, or not at all.
    dry_run
        Say what a run would do and cost, and do nothing.
    yes
        Don't ask before spending. Without a terminal nothing is asked.
    """
    from prefect_trinetra.cli.runs import carry_out, show_plan

    terminal = Terminal(for_machines=answering.json)
    spec = replace(options.spec(manifest, dataset), plan_id=plan)
    return show_plan(spec, whose, terminal) if dry_run else carry_out(spec, whose, terminal, yes=yes)


@app.command
def plan(
    manifest: list[str],
    dataset: str,
    /,
    *,
    options: RunOptions = NO_OPTIONS,
    save: Annotated[bool, flag(MONEY)] = False,
    whose: Whose = ENVIRONMENT,
    answering: Answering = FOR_PEOPLE,
) -> Exit:
    """Say what `generate` would do with these rows and what it may cost. Sends nothing, writes nothing by itself.

    Parameters
    ----------
    manifest
        Files of rows or globs; paths or URLs.
    dataset
        The dataset's folder; it need not exist yet.
    save
        Keep the plan in the dataset, for `generate --plan` to carry out as it stands.
    """
    from prefect_trinetra.cli.runs import show_plan

    return show_plan(options.spec(manifest, dataset), whose, Terminal(for_machines=answering.json), save=save)


@app.command
def status(
    dataset: str,
    /,
    *,
    recover: str | None = None,
    suspects: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    storage: Annotated[str | None, Parameter(group=PLACES)] = None,
    storage_option: Annotated[tuple[str, ...], repeatable(PLACES)] = (),
    answering: Answering = FOR_PEOPLE,
) -> Exit:
    """Say what a dataset holds, what it cost, and whether a run is under way or broke off. Needs no key.

    Parameters
    ----------
    dataset
        The dataset's folder.
    recover
        A spill file that the log told of: its entries are brought back into the dataset first.
    suspects
        List the images to look at: those that look wrong, and near-duplicates of earlier ones.
    storage
        A storage block by its name (or TYPE/NAME); DATASET is then a folder in it.
    storage_option
        KEY=VALUE for the dataset's file system (fsspec). Repeatable.
    """
    from prefect_trinetra.cli.places import place
    from prefect_trinetra.cli.status import show_status

    where = place(dataset, storage, parse_options(storage_option))
    return show_status(where, Terminal(for_machines=answering.json), recover=recover, suspects=suspects)


@app.command
def export(
    dataset: str,
    to: str,
    /,
    *,
    options: ExportOptions = PLAIN_EXPORT,
    answering: Answering = FOR_PEOPLE,
) -> Exit:
    """Write a dataset's images in the shape that training code loads, with Croissant metadata and a dataset card.

    What broke off goes on where it ended. Exit status: 0 all images are in it, 1 some are missing or damaged in the
    dataset, 2 nothing could start. Needs no key.

    Parameters
    ----------
    dataset
        The dataset's folder.
    to
        The export's folder: a path or a URL such as s3://bucket/folder.
    """
    from prefect_trinetra.cli.exports import run_export

    return run_export(options.spec(dataset, to), Terminal(for_machines=answering.json))


@app.command
def gallery(
    dataset: str,
    /,
    *,
    watch: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    storage: Annotated[str | None, Parameter(group=PLACES)] = None,
    storage_option: Annotated[tuple[str, ...], repeatable(PLACES)] = (),
    answering: Answering = FOR_PEOPLE,
) -> Exit:
    """Write a page that shows a dataset, gallery/index.html in its folder: any browser opens it. Needs no key.

    Parameters
    ----------
    dataset
        The dataset's folder.
    watch
        While a run is at work: write the page anew, at most 30 seconds behind, until the run ends.
    storage
        A storage block by its name (or TYPE/NAME); DATASET is then a folder in it.
    storage_option
        KEY=VALUE for the dataset's file system (fsspec). Repeatable.
    """
    from prefect_trinetra.cli.gallery import show_gallery
    from prefect_trinetra.cli.places import place

    where = place(dataset, storage, parse_options(storage_option))
    return show_gallery(where, Terminal(for_machines=answering.json), watch=watch)


@app.command
def sandbox(*, options: SandboxOptions = PLAIN_SANDBOX, debug: Debug = False) -> Exit:
    """Serve a stand-in for the provider on this machine: same API, pretty pictures, no cost. Ctrl-C ends it."""
    from prefect_trinetra.cli.sandbox import serve_sandbox

    return serve_sandbox(options, Terminal())


app.command(webhooks)


def main() -> None:
    """The console command."""
    signal.signal(signal.SIGTERM, _stop)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that can't show a letter is no error
    sys.exit(run_command(sys.argv[1:]))


def run_command(words: Sequence[str]) -> int:
    """Carries out one command line; its exit status. What goes wrong is one sentence on stderr."""
    try:
        return int(app(words, exit_on_error=False, print_error=False, result_action="return_value") or Exit.OK)
    except Stopped:
        return Exit.TERMINATED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last one to be told: nothing is hidden, all is said
        return _say(error, debug=DEBUG in words)


def _say(error: Exception, *, debug: bool) -> Exit:
    if debug:
        traceback.print_exception(error)
    print(f"prefect-trinetra: {plain(sentence(error))}", file=sys.stderr)
    if isinstance(error, CycloptsError):
        command = " ".join(["prefect-trinetra", *(error.command_chain or ())])
        print(f"{command} --help says what there is.", file=sys.stderr)
    return exit_status(error)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped
