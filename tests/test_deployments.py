"""deployments/prefect.yaml: it names flows and parameters that there are, and writes no secret out."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.utilities.callables import parameter_schema

from prefect_trinetra.blocks import DatasetStorage, TrinetraCredentials
from tree import ROOT

TEXT = (ROOT / "deployments" / "prefect.yaml").read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
DEPLOYMENTS: list[dict[str, Any]] = FILE["deployments"]


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(import_module(module), name)
    assert isinstance(flow, Flow)
    return flow


def test_all_flows_are_deployed() -> None:
    """The dataset on a schedule, the others on demand; from the installed package, so nothing is pulled."""
    names = {flow_of(deployment).name for deployment in DEPLOYMENTS}
    assert names == {"generate-dataset", "generate-image", "make-gallery", "export-dataset"}
    assert [bool(deployment.get("schedules")) for deployment in DEPLOYMENTS] == [True, False, False, False]
    assert FILE["pull"] == []


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_its_parameters_are_those_of_the_flow(deployment: dict[str, Any]) -> None:
    """All that the flow must have is there, and nothing that it does not know."""
    schema = parameter_schema(flow_of(deployment))
    assert set(schema.required) <= set(deployment["parameters"]) <= set(schema.properties)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_blocks_are_referred_to(deployment: dict[str, Any]) -> None:
    """A run loads them by name. A template would store the key in clear on the server."""
    slugs = {
        name: value["$ref"]["block_document_slug"].split("/")[0]
        for name, value in deployment["parameters"].items()
        if isinstance(value, dict) and "$ref" in value
    }
    account = TrinetraCredentials.get_block_type_slug()
    assert slugs.pop("credentials", account) == account
    assert set(slugs.values()) == {DatasetStorage.get_block_type_slug()}
    assert "{{" not in str(deployment)


def test_every_deployment_has_a_cap() -> None:
    """What runs by itself spends no more than was said."""
    assert all(each["parameters"]["max_credits"] > 0 for each in DEPLOYMENTS if "credentials" in each["parameters"])
