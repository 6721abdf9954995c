"""The command line and the flow speak the same words."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from prefect_trinetra.cli.app import app
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.spec import RunLimits

# What only makes sense on a command line.
OF_A_COMMAND = {"--yes", "--json", "--debug", "--env-file", "--column", "--storage-option", "--manifest-option"}
# What Prefect alone has: task runs of rows, workers, forms. And a shell sees for itself whether a file is there.
OF_A_FLOW = {"row_tasks", "shards_in_flight", "shard_deployment", "rate_limit", "approve_above", "missing_manifest"}


def flags(command: str) -> set[str]:
    """Every name of every flag of a command, without the opposites of those that are on by default."""
    arguments = app[command].assemble_argument_collection()
    named = {name for argument in arguments for name in argument.names if name.startswith("--")}
    return {name for name in named if "--" + name.removeprefix("--no-") not in named - {name}}


def flag_of(parameter: str) -> str:
    if parameter == "plan_id":
        # Among a flow's parameters that word would be the plan itself.
        return "--plan"
    return "--" + parameter.replace("_", "-")


@pytest.mark.prefect
def test_generate_has_a_flag_for_each_parameter_of_the_flow() -> None:
    """One to one, but for the rows' own task runs; manifest and dataset are given by position."""
    from prefect_trinetra.flows.dataset import generate_dataset

    parameters = set(inspect.signature(generate_dataset.fn).parameters) - OF_A_FLOW
    taken_apart = {*ImageParameters.model_fields, *RunLimits.model_fields}
    expected = parameters - {"manifest", "dataset", "parameters", "limits"} | taken_apart
    assert flags("generate") - OF_A_COMMAND == {flag_of(name) for name in expected}


def test_plan_has_the_flags_of_generate_that_do_not_act() -> None:
    """What can be run can be planned, in the same words."""
    assert flags("generate") - flags("plan") == {"--yes", "--dry-run", "--plan"}
    assert flags("plan") - flags("generate") == {"--save"}


@pytest.mark.parametrize("command", ["app", "gallery", "runs", "status", "sandbox"])
def test_prefect_is_not_imported_for_what_works_without_it(command: str) -> None:
    """It costs seconds at every start."""
    program = f"import sys, prefect_trinetra.cli.{command}\nsys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_help_loads_nothing_heavy() -> None:
    """Whoever asks for help wants it now."""
    program = "import sys, prefect_trinetra.cli\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert not {"prefect", "pyarrow", "aiohttp", "httpx", "PIL", "uvicorn"} & set(done.stdout.split())
