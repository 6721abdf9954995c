"""`sandbox`: the stand-in for the provider, in the foreground."""

from __future__ import annotations

from pydantic import ValidationError
from rich.text import Text

from prefect_trinetra.cli.exits import Exit
from prefect_trinetra.cli.sandbox_options import SandboxOptions
from prefect_trinetra.cli.terminal import Terminal
from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.problems import problem_sentences
from prefect_trinetra.sandbox.config import SandboxConfig
from prefect_trinetra.sandbox.faults import Faults
from prefect_trinetra.sandbox.server import serve

__all__ = ["serve_sandbox"]


def serve_sandbox(options: SandboxOptions, terminal: Terminal) -> Exit:
    """Serves until it is told to stop. Raises ConfigurationError for options that make no sandbox."""
    config = _config(options)
    try:
        serve(config, options.host, options.port, announce=lambda url: _welcome(url, options, terminal))
    except SystemExit as end:
        raise ConfigurationError(
            f"nothing can listen at {options.host}:{options.port}: another program may; choose another --port"
        ) from end
    return Exit.OK


def _config(options: SandboxOptions) -> SandboxConfig:
    try:
        return SandboxConfig(**options.settings())
    except ValidationError as error:
        said = "; ".join(problem_sentences(error))
        if any(problem["type"] == "extra_forbidden" for problem in error.errors()):
            said += f". The faults are {', '.join(sorted(Faults.model_fields))}"
        raise ConfigurationError(said) from error


def _welcome(url: str, options: SandboxOptions, terminal: Terminal) -> None:
    terminal.show(
        Text.assemble("sandbox ready at ", (url, "bold"), ", in another terminal type:"),
        "",
        f"  export TRINETRA_BASE_URL={url}",
        f"  export TRINETRA_API_KEY={options.api_key}",
        "",
        f"What was bought: {url}/sandbox/bill     Faults at run time: {url}/sandbox/faults     Ctrl-C ends it.",
    )
