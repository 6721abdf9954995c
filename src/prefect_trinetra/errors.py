"""Everything this package raises on purpose.

TrinetraError
├── ConfigurationError          a setting, block or argument is wrong; nothing was sent
├── ManifestError               a manifest file as a whole can't be used (one bad row is an outcome, not an error)
│   └── ManifestMissing         it is not there, or not yet
├── DatasetError                the dataset's folder is not what the run needs (other origin, newer layout, ...)
│   ├── DatasetBusy             another run is at work in it, and this one was told not to wait
│   ├── LeaseLost               another run took the dataset over from this one, and goes on with the work
│   └── PlanOutdated            a saved plan no longer says what a run would do; nothing was sent
├── StorageError                a file system did not do what was asked; the cause is chained
│   └── StorageUnavailable      it may work later: the call is repeated
├── RequestRefused              the provider will not do this request: permanent for its key
│   └── AccountRefused          401, 402, 403, 404, 405: about the account or URL; submitting stops
├── NotAccepted                 certainly not accepted: safe to send again after a wait
│   ├── RateLimited             429
│   └── Unavailable             503 with Retry-After, or the connection could not be made
├── OutcomeUnknown              the POST may have arrived: never sent again by itself
├── JobError
│   ├── JobFailed               a known failure state, no outputs, nothing charged
│   ├── JobUnreadable           the job could not be looked up this time; it may still be
│   ├── JobUnfinished           the job was not seen to end by the deadline; it may still be collected
│   └── JobGone                 401, 403, 404 or 410 on a job that is known to exist
├── DownloadError
│   ├── DownloadInterrupted     network trouble: the same URL may work
│   ├── DownloadDamaged         bytes came, and they are no usable image
│   └── DownloadExpired         the URL no longer answers: ask the job for a fresh one
└── TooManyFailures             a run ended above its tolerated share; carries the report
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect_trinetra.reasons import ReasonClass

if TYPE_CHECKING:
    from prefect_trinetra.report import DatasetReport

__all__ = [
    "AccountRefused",
    "ConfigurationError",
    "DatasetBusy",
    "DatasetError",
    "DownloadDamaged",
    "DownloadError",
    "DownloadExpired",
    "DownloadInterrupted",
    "JobError",
    "JobFailed",
    "JobGone",
    "JobUnfinished",
    "JobUnreadable",
    "LeaseLost",
    "ManifestError",
    "ManifestMissing",
    "NotAccepted",
    "OutcomeUnknown",
    "PlanOutdated",
    "RateLimited",
    "RequestRefused",
    "StorageError",
    "StorageUnavailable",
    "TooManyFailures",
    "TrinetraError",
    "Unavailable",
]


class TrinetraError(Exception):
    """The root: catch this to catch everything that the package raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel between processes; pickle's own way would call __init__ without its keyword-only arguments.
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[TrinetraError], args: tuple[Any, ...], fields: dict[str, Any]) -> TrinetraError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class ConfigurationError(TrinetraError):
    """A setting, block or argument is wrong. Nothing was sent, nothing was spent."""


class ManifestError(TrinetraError):
    """A manifest file can't be used as a whole: missing, unreadable, no prompt column, a torn Parquet footer."""


class ManifestMissing(ManifestError):
    """There is no such file, or no file that matches. Nothing was sent; it may come later."""


class DatasetError(TrinetraError):
    """The dataset's folder is not what the run needs, for instance made for another API origin."""


class DatasetBusy(DatasetError):
    """Another run holds the dataset, and this one was told not to wait. Nothing was sent."""


class LeaseLost(DatasetError):
    """Another run has taken the dataset over from this one, which seemed dead. What it bought is recorded."""


class PlanOutdated(DatasetError):
    """A saved plan is not what would be done now: the manifest, the dataset or the terms changed. Nothing was sent."""


class StorageError(TrinetraError):
    """A file system refused or broke off what was asked; the library's own error is the cause."""


class StorageUnavailable(StorageError):
    """A storage call failed in a way that may pass: time-out, connection, 5xx of an object store."""


class RequestRefused(TrinetraError):
    """The provider refuses this request, and will again: 400, 413, 422. Nothing is charged. `reason_class` says why."""

    def __init__(self, message: str, *, status: int, reason_class: ReasonClass, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.reason_class = reason_class


class AccountRefused(RequestRefused):
    """401, 402, 403, 404 or 405 to a POST: key, credits or URL are wrong, so every other row would fare the same.

    Also 400 or 422 with a code that says so. A 403 that speaks of moderation is RequestRefused.
    """


class NotAccepted(TrinetraError):
    """The POST was certainly not accepted. `retry_after_seconds` is the server's hint, or None."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(NotAccepted):
    """429: too many submissions; every submitter of the account waits."""


class Unavailable(NotAccepted):
    """503 with Retry-After, or a connection that could not be made: nothing was received."""


class OutcomeUnknown(TrinetraError):
    """No one can tell whether the POST was accepted: it counts as spent and is not repeated by itself."""

    def __init__(self, message: str, *, reason_class: ReasonClass) -> None:
        super().__init__(message)
        self.reason_class = reason_class


class JobError(TrinetraError):
    """Something about one job; `job_id` says which."""

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class JobFailed(JobError):
    """The provider says that the job failed, delivered nothing and charged nothing."""


class JobUnreadable(JobError):
    """A look at the job got no usable answer. `retry_after_seconds` is the server's hint, or None."""

    def __init__(self, message: str, *, job_id: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, job_id=job_id)
        self.retry_after_seconds = retry_after_seconds


class JobUnfinished(JobError):
    """The job did not end by the deadline. It was accepted and may be charged: wait again, do not submit again."""


class JobGone(JobError):
    """401, 403, 404 or 410 on a known job: it stays pending, since it was accepted and may be charged."""

    def __init__(self, message: str, *, job_id: str, status: int) -> None:
        super().__init__(message, job_id=job_id)
        self.status = status


class DownloadError(TrinetraError):
    """One output could not be had."""


class DownloadInterrupted(DownloadError):
    """The connection broke, timed out or the CDN answered 5xx or 429: the same URL may work later."""


class DownloadDamaged(DownloadError):
    """Bytes came that are no usable image, or an address that is none; the message says in what way."""

    def __init__(self, message: str, *, reason_class: ReasonClass = ReasonClass.NOT_AN_IMAGE) -> None:
        super().__init__(message)
        self.reason_class = reason_class


class DownloadExpired(DownloadError):
    """401, 403, 404 or 410 from the CDN: the URL's life is over, the job may give a fresh one."""


class TooManyFailures(TrinetraError):
    """More rows failed than `tolerated_failures` allows. Everything bought is kept; see `report`."""

    def __init__(self, report: DatasetReport) -> None:
        super().__init__(report.failure_sentence())
        self.report = report
