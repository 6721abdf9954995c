"""A manifest becomes a dataset of images."""

# Without `from __future__ import annotations`: the async twin lives in another module, where Prefect could not look
# up the names of its annotations.

from typing import Annotated, Any, Final, Literal, cast

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from prefect_trinetra.blocks.credentials import TrinetraCredentials
from prefect_trinetra.blocks.storage import StorageBlock
from prefect_trinetra.budget import Budget
from prefect_trinetra.flows.arrival import MissingManifest
from prefect_trinetra.flows.dataset_run import DatasetRun
from prefect_trinetra.flows.forms import titled
from prefect_trinetra.flows.schedule import dataset_label
from prefect_trinetra.flows.specs import dataset_spec
from prefect_trinetra.flows.twins import async_twin
from prefect_trinetra.report import DatasetReport
from prefect_trinetra.request import ImageParameters
from prefect_trinetra.spec import RunLimits

__all__ = ["agenerate_dataset", "generate_dataset"]

FLOW_NAME: Final = "generate-dataset"
DEFAULT_PARAMETERS: Final = ImageParameters()
DEFAULT_LIMITS: Final = RunLimits()

# The titles are those of the form's switch between the three.
ManifestChoice = (
    Annotated[str, Field(title="name")]
    | Annotated[list[str], Field(title="names")]
    | Annotated[list[dict[str, Any]], Field(title="rows")]
)
# A select of words in the form: the outcomes, then the classes of each.
Retryable = Literal[
    "refused",
    "failed",
    "unknown",
    "damaged",
    "expired",
    "moderation",
    "transparency_unsupported",
    "bad_parameter",
    "request_too_large",
    "bad_key",
    "no_credits",
    "not_allowed",
    "bad_address",
    "provider_failure",
    "moderated_job",
    "unusable_input",
    "killed",
    "no_answer",
    "server_error",
    "bare_503",
    "redirected",
    "no_job_id",
    "odd_answer",
    "own_error",
    "no_outputs",
    "not_an_image",
    "image_too_large",
    "bad_output_url",
    "charged_failure",
    "url_expired",
    "too_old",
]


def _run_name() -> str:
    """Says which dataset, and what is done with it."""
    return f"{'plan' if flow_run.get_parameters().get('dry_run') else 'generate'} {dataset_label()}"


@flow(name=FLOW_NAME, flow_run_name=_run_name)
@titled
def generate_dataset(  # noqa: PLR0913, PLR0917  # the form of the flow: the same words as the command line's flags
    manifest: ManifestChoice,
    dataset: str,
    credentials: TrinetraCredentials | None = None,
    storage: StorageBlock | None = None,
    manifest_storage: StorageBlock | None = None,
    parameters: ImageParameters = DEFAULT_PARAMETERS,
    columns: dict[str, str] = {},  # noqa: B006  # only read
    template: str | None = None,
    samples: Annotated[int, Field(ge=1)] = 1,
    sample_base: int | str = 0,
    max_credits: Annotated[float | None, Field(ge=0)] = None,
    budget: Budget | None = None,
    approve_above: Annotated[float | None, Field(ge=0, title="Approve above (credits)")] = None,
    plan_id: Annotated[str | None, Field(title="Plan ID")] = None,
    limits: RunLimits = DEFAULT_LIMITS,
    retry: frozenset[Retryable] = frozenset({"failed"}),
    tolerated_failures: Annotated[float, Field(ge=0, le=1)] = 0.0,
    row_tasks: Annotated[int | None, Field(ge=0)] = None,
    shards_in_flight: Annotated[int | None, Field(ge=1)] = None,
    shard_deployment: str | None = None,
    rate_limit: str | None = None,
    missing_manifest: MissingManifest = "fail",
    dry_run: bool = False,  # noqa: FBT001, FBT002  # a form's tick box; callers name it
    wait: bool = True,  # noqa: FBT001, FBT002  # the same
    lease: bool = True,  # noqa: FBT001, FBT002  # the same
) -> DatasetReport:
    """
    Turns a manifest of prompts into a dataset of images, and goes on where an earlier run ended.

    Nothing is bought twice, what was bought is collected, and no more than `max_credits` is spent at list prices. Rows
    that fail cost no other row anything. A finished dataset is free to rerun.

    Args:
        manifest: File of rows (.csv, .tsv, .jsonl, .txt, .parquet, also .gz), a glob, a list of them, or the rows.
            {scheduled:%Y-%m-%d} in a name is the day that the run was scheduled for.
        dataset: Folder of the dataset: a path, a URL such as s3://bucket/cats, or a name in the storage. Days as above.
        credentials: Account that pays; else TRINETRA_API_KEY and TRINETRA_BASE_URL of the environment count.
        storage: Block that holds the dataset, and the keys to open it.
        manifest_storage: Block that holds the manifest.
        parameters: How pictures are made where a row's own columns say nothing.
        columns: Column that fills a field, such as prompt: caption; all other columns are carried through.
        template: Builds prompts from columns, such as "a photo of {{ animal }} in {{ place }}".
        samples: Wanted repeats of each row.
        sample_base: Number of the first repeat. Another one makes fresh pictures of the same prompts, such as
            {scheduled:%Y%m%d}00 every night.
        max_credits: The cap: the run, with its retries, never spends more. Empty means no cap.
        budget: What all runs of the dataset together may spend in a calendar period. Empty means no budget.
        approve_above: Credits above which a person is asked: the run waits, with its plan as a form, to be resumed.
        plan_id: Saved plan that is carried out as it stands, for no more than its bound, or not at all.
        limits: How fast the run may go and how long it may wait.
        retry: Outcomes, or classes of reasons, to try again. All but failed may cost again what they cost before.
        tolerated_failures: Share of rows, 0 to 1, that may fail before the flow run counts as failed.
        row_tasks: Up to so many rows to do, each step of each row is a task run of its own. Empty means 50.
        shards_in_flight: Shards that are worked on at once: about as many as there are workers. Empty means enough for
            one process in threads, and 16 elsewhere.
        shard_deployment: Deployment of generate-shard, such as generate-shard/pool: each shard is then a flow run of
            its own, for the workers of its work pool. Blocks have to be saved ones. Empty means tasks of this run.
        rate_limit: Global concurrency limit with a slot decay: all workers together order at most so fast. Empty means
            that each finds its share by itself.
        missing_manifest: Where the manifest is not there: fail, skip the run, or wait until the run deadline.
        dry_run: Say what a run would do and cost; send nothing and write nothing.
        wait: Wait for another run that is at work in the dataset; without it the run ends at once.
        lease: Keep a second run from buying the same rows. Off: start one run at a time, for storage that can't.

    Returns:
        The report, also stored in the dataset as runs/RUN_ID.json. Where rows are left over (pending, over_budget), the
        state is named for it; the next run goes on with them.

    Raises:
        TooManyFailures: More rows failed than tolerated; it carries the report.
        ConfigurationError: A parameter, block or setting is wrong; nothing was sent.
        ManifestError: The manifest can't be used as a whole.
        DatasetError: The dataset is of another API, damaged, busy (without wait) or taken over, or the plan outdated.
        StorageError: The dataset's storage can't be used.
    """
    spec = dataset_spec(
        manifest=manifest,
        dataset=dataset,
        storage=storage,
        manifest_storage=manifest_storage,
        parameters=parameters,
        columns=columns,
        template=template,
        samples=samples,
        sample_base=sample_base,
        max_credits=max_credits,
        budget=budget,
        plan_id=plan_id,
        limits=limits,
        retry=retry,
        tolerated_failures=tolerated_failures,
        wait=wait,
        lease=lease,
    )
    run = DatasetRun(
        spec,
        credentials,
        storage,
        row_tasks,
        missing_manifest,
        approve_above,
        shards_in_flight=shards_in_flight,
        shard_deployment=shard_deployment,
        rate_limit=rate_limit,
    )
    # Prefect hands the caller what is inside a state that a flow returns.
    return cast("DatasetReport", run.plan() if dry_run else run.carry_out())


agenerate_dataset = flow(name=FLOW_NAME, flow_run_name=_run_name)(async_twin(generate_dataset.fn))
