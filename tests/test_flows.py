"""What the flows ask for: forms that explain themselves, and pairs that are alike."""

from __future__ import annotations

import asyncio
import inspect
import re
import threading
from typing import Any

import pytest
from prefect import Flow
from prefect.exceptions import ParameterTypeError
from prefect.utilities.callables import parameter_schema

from prefect_trinetra.errors import ConfigurationError
from prefect_trinetra.flows import (
    aexport_dataset,
    agenerate_dataset,
    agenerate_image,
    amake_gallery,
    export_dataset,
    generate_dataset,
    generate_image,
    make_gallery,
)
from prefect_trinetra.flows.specs import dataset_spec
from prefect_trinetra.flows.twins import async_twin, stop_sign
from prefect_trinetra.outcomes import Outcome
from prefect_trinetra.reasons import RETRY_WORDS

# But for a shard's, which no person fills in.
FLOWS: list[Flow[..., Any]] = [generate_dataset, generate_image, export_dataset, make_gallery]
PAIRS = [
    (generate_dataset, agenerate_dataset),
    (generate_image, agenerate_image),
    (export_dataset, aexport_dataset),
    (make_gallery, amake_gallery),
]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_field_of_the_form_is_explained(flow: Flow[..., Any]) -> None:
    """The UI takes descriptions from the docstring's Args alone; titles are words, not names."""
    schema = parameter_schema(flow)
    fields = schema.properties | {
        f"{model}.{name}": field
        for model, definition in schema.definitions.items()
        if "block_type_slug" not in definition and model != "ShardOrder"  # a run writes that, not a person
        for name, field in definition["properties"].items()
    }
    assert [name for name, field in fields.items() if not field.get("description")] == []
    assert [field["title"] for field in fields.values() if not re.fullmatch(r"[A-Z][A-Za-z ()]+", field["title"])] == []


def test_a_parameter_names_itself_or_is_named() -> None:
    """What a form is to say where the name in words is not enough."""
    titles = {name: field["title"] for name, field in parameter_schema(generate_dataset).properties.items()}
    assert titles["max_credits"] == "Max credits"
    assert titles["approve_above"] == "Approve above (credits)"
    manifest = parameter_schema(generate_dataset).properties["manifest"]
    assert [choice["title"] for choice in manifest["anyOf"]] == ["name", "names", "rows"]


def test_a_bad_value_is_refused_with_a_sentence() -> None:
    """Where no server checks the form: before the flow does anything."""
    for wrong, words in (
        ({"samples": 0}, "samples: Input should be greater"),
        ({"missing_manifest": "later"}, "'wait'"),
    ):
        with pytest.raises(ParameterTypeError, match=words):
            generate_dataset.validate_parameters({"manifest": "a.csv", "dataset": "cats", **wrong})


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_no_parameter_is_a_secret(flow: Flow[..., Any]) -> None:
    """Prefect stores parameters in clear; secrets live in blocks, which it masks."""
    assert not [name for name, field in parameter_schema(flow).properties.items() if field.get("writeOnly")]


def test_the_form_has_choices_and_limits() -> None:
    """A wrong word is not typed, but left out."""
    schema = parameter_schema(generate_dataset)
    assert schema.properties["retry"]["items"]["enum"] == [word.value for word in RETRY_WORDS]
    assert schema.properties["retry"]["default"] == [Outcome.FAILED.value]
    assert schema.properties["tolerated_failures"]["maximum"] == 1
    assert schema.properties["samples"]["minimum"] == 1
    assert schema.definitions["TrinetraCredentials"]["block_type_slug"] == "trinetra-credentials"
    assert schema.definitions["ImageParameters"]["properties"]["quality"]["enum"] == ["low", "medium", "high", "auto"]
    assert schema.required == ["manifest", "dataset"]


@pytest.mark.parametrize(("flow", "twin"), PAIRS, ids=lambda flow: flow.name)
def test_twins_are_alike(flow: Flow[..., Any], twin: Flow[..., Any]) -> None:
    """The same flow to Prefect, but for the caller's event loop."""
    assert (twin.name, twin.isasync, flow.isasync) == (flow.name, True, False)
    assert inspect.signature(twin.fn) == inspect.signature(flow.fn)
    assert parameter_schema(twin).properties == parameter_schema(flow).properties
    assert twin.fn.__name__ == f"a{flow.fn.__name__}"


async def test_a_cancelled_twin_waits_for_what_it_told_to_stop() -> None:
    """The thread sees the sign, finishes what must not be cut off, and only then the coroutine is over."""
    began, ended = threading.Event(), threading.Event()

    def work() -> None:
        sign = stop_sign()
        began.set()
        assert sign.wait(10)
        ended.set()

    running = asyncio.ensure_future(async_twin(work)())
    await asyncio.to_thread(began.wait, 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


def test_a_manifest_of_several_files_is_opened_by_one_storage() -> None:
    """Where they lie in different places no one set of keys opens them all."""
    from prefect.filesystems import RemoteFileSystem

    storage = RemoteFileSystem(basepath="s3://bucket/prompts", settings={"key": "k"})
    spec = dataset_spec(manifest=["a.csv", "b.csv"], dataset="cats", manifest_storage=storage)
    assert spec.manifest == ["s3://bucket/prompts/a.csv", "s3://bucket/prompts/b.csv"]
    assert spec.manifest_options == {"key": "k"}
    with pytest.raises(ConfigurationError, match="different places"):
        dataset_spec(manifest=["a.csv", "/elsewhere/b.csv"], dataset="cats", manifest_storage=storage)
