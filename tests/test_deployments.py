"""deployments/prefect.yaml: it names flows and parameters that there are, and writes no secret out."""

from __future__ import annotations

import re
import runpy
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
    assert names == {"generate-dataset", "generate-shard", "generate-image", "make-gallery", "export-dataset"}
    scheduled = {deployment["name"] for deployment in DEPLOYMENTS if deployment.get("schedules")}
    assert scheduled == {"nightly", "collection"}
    assert FILE["pull"] == []


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_its_parameters_are_those_of_the_flow(deployment: dict[str, Any]) -> None:
    """All that the flow must have is there, and nothing that it does not know; a shard's order comes from its run."""
    schema = parameter_schema(flow_of(deployment))
    assert set(schema.required) - {"order"} <= set(deployment["parameters"]) <= set(schema.properties)


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
    assert set(slugs.values()) <= {DatasetStorage.get_block_type_slug()}
    assert "{{" not in str(deployment)


def test_every_deployment_has_a_cap() -> None:
    """What runs by itself spends no more than was said."""
    spending = [each["parameters"] for each in DEPLOYMENTS if "credentials" in each["parameters"]]
    assert all(each.get("max_credits") or each["budget"]["credits"] for each in spending)


def test_the_compose_file_holds_together() -> None:
    """Services wait for services that there are, volumes are declared, and no secret stands in it."""
    folder = ROOT / "deployments"
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    services: dict[str, dict[str, Any]] = compose["services"]
    assert set(services) == {"database", "server", "worker", "webhooks"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        mounted = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert mounted <= set(compose["volumes"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        secrets = [value for name, value in service["environment"].items() if name.endswith(("PASSWORD", "TOKEN"))]
        assert all(value.startswith("${") for value in secrets)
        if build := service.get("build"):
            assert (folder / build["context"] / build["dockerfile"]).is_file()


@pytest.mark.skipif(not (ROOT / "src").is_dir(), reason="the sources are not here")
def test_the_image_is_built_from_what_there_is() -> None:
    """All that the Dockerfile copies is in the repository, and so is all that setuptools needs to build."""
    text = (ROOT / "deployments" / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "constraints.txt", "src", "blocks", "tasks", "flows"} <= {*copied}


def test_one_machine_serves_the_same_flows() -> None:
    """serve.py and prefect.yaml deploy each flow; on one machine shards are tasks of their run."""
    served = runpy.run_path(str(ROOT / "deployments" / "serve.py"))
    flows = {value.name for value in served.values() if isinstance(value, Flow)}
    assert flows == {flow_of(deployment).name for deployment in DEPLOYMENTS} - {"generate-shard"}
