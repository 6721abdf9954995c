"""The flags of `generate` and `plan`, in the words of the flow's parameters, and the run that they ask for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import orjson
from cyclopts import Group, Parameter

from prefect_trinetra.budget import Budget
from prefect_trinetra.cli.places import Place, place
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.reasons import RetryWord, retry_words
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.spec import RunLimits, RunSpec

__all__ = [
    "MONEY",
    "PLACES",
    "Answering",
    "Debug",
    "RunOptions",
    "Whose",
    "flag",
    "parse_options",
    "parse_pairs",
    "parse_retry",
    "repeatable",
]

ROWS: Final = Group("Rows and prompts", sort_key=1)
PICTURES: Final = Group("Pictures (a manifest's own column of that name beats the flag)", sort_key=2)
MONEY: Final = Group("Money", sort_key=3)
PACE: Final = Group("Pace", sort_key=4)
BESIDE: Final = Group("Other runs of the same dataset", sort_key=5)
PLACES: Final = Group("Where from, where to, on whose account", sort_key=6)
ANSWER: Final = Group("How it answers", sort_key=7)

NOTHING: Final = "none"


def flag(group: Group) -> Parameter:
    """A word that is there or not."""
    return Parameter(negative="", show_default=False, group=group)


def repeatable(group: Group, *names: str) -> Parameter:
    """One value each time the flag is given."""
    return Parameter(name=names or None, negative="", show_default=False, group=group)


# Looked for before the command line is understood, so that it works for errors in it too.
Debug = Annotated[bool, Parameter(negative="", show_default=False, group=ANSWER, help="Show where an error came from.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Answering:
    """How a command answers."""

    json: Annotated[bool, flag(ANSWER)] = False
    """The last line of stdout is one JSON object; what is for people goes to stderr."""
    debug: Debug = False


@Parameter(name="*")
@dataclass(frozen=True)
class Whose:
    """Whose account it is."""

    credentials: Annotated[str | None, Parameter(group=PLACES)] = None
    """A TrinetraCredentials block by its name; else TRINETRA_API_KEY and TRINETRA_BASE_URL count."""
    env_file: Annotated[str | None, Parameter(group=PLACES)] = None
    """A file of TRINETRA_... settings; none is read unless it is named here."""


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions:
    """Everything that a run can be told, besides its manifest and its dataset."""

    columns: Annotated[tuple[str, ...], repeatable(ROWS, "--column", "--columns")] = ()
    """FIELD=COLUMN: the manifest's column that fills a field, such as prompt=caption. Repeatable."""
    template: Annotated[str | None, Parameter(group=ROWS)] = None
    """Builds prompts from columns: 'a photo of {{ animal }} in {{ place }}'."""
    samples: Annotated[int, Parameter(group=ROWS)] = 1
    """Wanted repeats of each row."""
    sample_base: Annotated[int, Parameter(group=ROWS)] = 0
    """Number of the first repeat: another one makes fresh pictures of the same prompts."""
    parameters: Annotated[ImageParameters, Parameter(name="*", group=PICTURES)] = field(default_factory=ImageParameters)
    max_credits: Annotated[float | None, Parameter(group=MONEY)] = None
    """The cap in credits: the run never spends more, at list prices."""
    budget: Annotated[str | None, Parameter(group=MONEY)] = None
    """What all runs of the dataset may spend in a calendar period (UTC), as in 500/day, 2000/week or 5000/month."""
    retry: Annotated[tuple[str, ...], repeatable(MONEY)] = (Outcome.FAILED.value,)
    """Outcomes or classes to try again, as failed,no_answer (default failed) or none. All but failed may pay again."""
    tolerated_failures: Annotated[float, Parameter(group=MONEY)] = 0.0
    """The share of rows, 0 to 1, that may fail before the exit status is 1."""
    limits: Annotated[RunLimits, Parameter(name="*", group=PACE)] = field(default_factory=RunLimits)
    storage: Annotated[str | None, Parameter(group=PLACES)] = None
    """A storage block by its name (or TYPE/NAME); DATASET is then a folder in it."""
    manifest_storage: Annotated[str | None, Parameter(group=PLACES)] = None
    """The same for MANIFEST."""
    wait: Annotated[bool, Parameter(negative="--no-wait", show_default=False, group=BESIDE)] = True
    """Wait for one that is at work, the default; or end at once and name it."""
    lease: Annotated[bool, Parameter(negative="--no-lease", show_default=False, group=BESIDE)] = True
    """Keep it from buying the same rows, the default; or don't, on storage that can't: then start one at a time."""
    storage_option: Annotated[tuple[str, ...], repeatable(PLACES)] = ()
    """KEY=VALUE for the dataset's file system (fsspec); a VALUE that is JSON is read as JSON. Repeatable."""
    manifest_option: Annotated[tuple[str, ...], repeatable(PLACES)] = ()
    """The same for the manifest's."""

    def spec(self, manifest: Iterable[str], dataset: str) -> RunSpec:
        """The run that is asked for. Raises ConfigurationError."""
        goal = place(dataset, self.storage, parse_options(self.storage_option))
        options = parse_options(self.manifest_option, "--manifest-option")
        sources = [place(url, self.manifest_storage, options) for url in manifest]
        return RunSpec(
            manifest=_manifest(sources),
            dataset=goal.url,
            parameters=self.parameters,
            columns=parse_pairs(self.columns, "--column", "prompt=caption"),
            template=self.template,
            samples=self.samples,
            sample_base=self.sample_base,
            max_credits=self.max_credits,
            budget=Budget.parse(self.budget) if self.budget is not None else None,
            limits=self.limits,
            retry=parse_retry(self.retry),
            tolerated_failures=self.tolerated_failures,
            wait=self.wait,
            lease=self.lease,
            storage_options=goal.options,
            manifest_options=sources[0].options if sources else {},
        )


def _manifest(sources: list[Place]) -> str | list[str]:
    urls = [source.url for source in sources]
    return urls[0] if len(urls) == 1 else urls


def parse_pairs(written: Iterable[str], flag: str, example: str) -> dict[str, str]:
    """`NAME=VALUE` words as a mapping. Raises ConfigurationError with an example of how the flag is used."""
    pairs: dict[str, str] = {}
    for word in written:
        name, separator, value = word.partition("=")
        if not separator or not name.strip():
            raise ConfigurationError(f"{flag} {word}: write it as {flag} {example}")
        if name.strip() in pairs:
            raise ConfigurationError(f"{flag} names {name.strip()} twice: give it once")
        pairs[name.strip()] = value
    return pairs


def parse_options(written: Iterable[str], flag: str = "--storage-option") -> dict[str, Any]:
    """File-system options; `anon=true` is a truth value, `key=0123` and `key="true"` are text."""
    return {name: _json_or_text(value) for name, value in parse_pairs(written, flag, "anon=true").items()}


def _json_or_text(value: str) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def parse_retry(written: Iterable[str]) -> frozenset[RetryWord]:
    """Outcomes and classes from comma-separated words. Raises ConfigurationError for what can't be tried again."""
    words = [word.strip().lower() for text in written for word in text.split(",")]
    try:
        return retry_words(word for word in words if word not in {"", NOTHING})
    except ValueError as error:
        raise ConfigurationError(f"--retry {error}, or {NOTHING}") from error
