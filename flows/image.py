"""One prompt becomes a picture, with the whole promise of a dataset, which it lands in."""

# Without `from __future__ import annotations`: see flows/dataset.py.

from typing import Annotated, Final, cast

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from prefect_trinetra.blocks.credentials import TrinetraCredentials
from prefect_trinetra.blocks.storage import StorageBlock
from prefect_trinetra.flows.dataset import DEFAULT_PARAMETERS, Retryable
from prefect_trinetra.flows.dataset_run import DatasetRun, finished
from prefect_trinetra.flows.forms import titled
from prefect_trinetra.flows.specs import dataset_spec
from prefect_trinetra.flows.twins import async_twin
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.tasks.pictures import shown_rows
from prefect_trinetra.tasks.run_page import show_run

__all__ = ["agenerate_image", "generate_image"]

FLOW_NAME: Final = "generate-image"
NAME_CHARACTERS: Final = 40


def _run_name() -> str:
    prompt = " ".join(str(flow_run.get_parameters().get("prompt")).split())
    return f"image of {prompt[:NAME_CHARACTERS]}{'...' if len(prompt) > NAME_CHARACTERS else ''}"


@flow(name=FLOW_NAME, flow_run_name=_run_name)
@titled
def generate_image(  # noqa: PLR0913, PLR0917  # the form of the flow
    prompt: str,
    dataset: str,
    credentials: TrinetraCredentials | None = None,
    storage: StorageBlock | None = None,
    parameters: ImageParameters = DEFAULT_PARAMETERS,
    image_url: Annotated[str | None, Field(title="Image URL")] = None,
    image_key: str | None = None,
    samples: Annotated[int, Field(ge=1)] = 1,
    max_credits: Annotated[float | None, Field(ge=0)] = None,
    retry: frozenset[Retryable] = frozenset({"failed"}),
) -> DatasetReport:
    """
    Makes the picture of one prompt, or edits one, and shows it on the page of the flow run.

    The picture lands in a dataset: asked for again it is there already and free. The dataset's tables then show this
    prompt alone, so give single pictures a dataset of their own.

    Args:
        prompt: Text of the desired picture, at most 32,000 characters.
        dataset: Folder of the dataset: a path, a URL such as s3://bucket/cats, or a name in the storage.
            {scheduled:%Y-%m-%d} in it is the day of the run.
        credentials: Account that pays; else TRINETRA_API_KEY and TRINETRA_BASE_URL of the environment count.
        storage: Block that holds the dataset, and the keys to open it.
        parameters: How the picture is made.
        image_url: Picture to edit: an http(s) address of a png, webp or jpeg that the provider can fetch.
        image_key: Name that stands for image_url where the address itself changes from run to run.
        samples: Wanted repeats: 2 makes another picture of a prompt that was made once.
        max_credits: The cap: the run, with its retries, never spends more. Empty means no cap.
        retry: Outcomes, or classes of reasons, to try again. All but failed may cost again what they cost before.

    Returns:
        The report, also stored in the dataset as runs/RUN_ID.json.

    Raises:
        TooManyFailures: There is no picture; it carries the report, and the page of the run says why.
        ConfigurationError: A parameter, block or setting is wrong; nothing was sent.
        DatasetError: The dataset belongs to another API, or is damaged.
        StorageError: The dataset's storage can't be used.
    """
    row = {"prompt": prompt, "image_url": image_url, "image_key": image_key}
    spec = dataset_spec(
        manifest=[{name: value for name, value in row.items() if value is not None}],
        dataset=dataset,
        storage=storage,
        parameters=parameters,
        samples=samples,
        max_credits=max_credits,
        retry=retry,
    )
    report = DatasetRun(spec, credentials, storage).make()
    show_run(spec, report, shown_rows(spec))
    # Prefect hands the caller what is inside a state that a flow returns.
    return cast("DatasetReport", finished(report))


agenerate_image = flow(name=FLOW_NAME, flow_run_name=_run_name)(async_twin(generate_image.fn))
