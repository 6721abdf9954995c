"""What a file system's error means to the user, in one table: every backend's library raises its own kinds."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from prefect_trinetra.errors import StorageError, StorageUnavailable

__all__ = ["is_missing_bucket", "is_taken", "may_pass", "secrets_of", "storage_error"]

# Kinds of errors that may pass, by full name, so that no backend's package is imported to recognise them.
PASSING_KINDS: Final = frozenset(
    {
        "builtins.ConnectionError",
        "builtins.TimeoutError",
        "fsspec.exceptions.FSTimeoutError",
        "aiohttp.client_exceptions.ClientConnectionError",
        "aiohttp.client_exceptions.ClientPayloadError",
        "asyncssh.misc.ConnectionLost",
        "azure.core.exceptions.ServiceRequestError",
        "azure.core.exceptions.ServiceResponseError",
        "botocore.exceptions.ConnectionError",
        "botocore.exceptions.FlexibleChecksumError",
        "botocore.exceptions.HTTPClientError",
        "botocore.exceptions.IncompleteReadError",
        "botocore.exceptions.ResponseStreamingError",
        "google.auth.exceptions.TransportError",
        "asyncssh.misc.ChannelOpenError",
        "asyncssh.sftp.SFTPConnectionLost",
        "asyncssh.sftp.SFTPNoConnection",
        "httpx.TransportError",
        "webdav4.client.BadGatewayError",
        "webdav4.client.ResourceLocked",
        "paramiko.ssh_exception.SSHException",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
    }
)
# s3fs: the store had an internal error.
REMOTE_ERROR: Final = getattr(errno, "EREMOTEIO", errno.EBUSY)
PASSING_NUMBERS: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EMFILE,
        errno.ENETUNREACH,
        errno.ENFILE,
        REMOTE_ERROR,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
# S3's words for "ask again", where the library has no Python error of their own for them.
PASSING_CODES: Final = frozenset(
    {"ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "SlowDown", "ThrottlingException"}
)
SERVER_ERROR: Final = 500
TOO_MANY_REQUESTS: Final = 429

NO_CREDENTIALS: Final = frozenset(
    {
        "botocore.exceptions.NoCredentialsError",
        "botocore.exceptions.PartialCredentialsError",
        "google.auth.exceptions.DefaultCredentialsError",
        "google.auth.exceptions.RefreshError",
        "azure.core.exceptions.ClientAuthenticationError",
        "asyncssh.misc.HostKeyNotVerifiable",
        "asyncssh.misc.PermissionDenied",
        "paramiko.ssh_exception.AuthenticationException",
    }
)
MISSING_BUCKET_CODES: Final = frozenset({"NoSuchBucket", "ContainerNotFound"})
# A conditional write that found the name taken: s3fs, and SeaweedFS behind it, have no FileExistsError for it.
TAKEN_CODES: Final = frozenset({"PreconditionFailed", "412"})

CREDENTIALS: Final = "credentials are missing or wrong: put them in the storage options or the environment"
NOT_WRITABLE: Final = "the store takes no files there: check that folder's rights, and whether there is room"
BROKEN: Final = "the store has an error of its own, which may be a full disk: look at it, or try again later"
AWAY: Final = "the store can't be reached or is busy: check the address and the network, or try again later"
REMEDIES: Final[Mapping[int, str]] = {
    errno.EACCES: "permission is missing: check the rights on that folder or bucket, and the credentials",
    errno.EDQUOT: "the quota is used up: make room, then run again",
    errno.EEXIST: "a file stands where a folder is needed: move it, or choose another folder",
    errno.EFBIG: "the file is larger than this file system or process may write",
    errno.EISDIR: "a folder stands where a file is needed: move it, or choose another folder",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter folder",
    errno.ENOENT: "there is no such bucket or folder, and it can't be made: create it, or correct its name",
    errno.ENOSPC: "the disk is full: make room, then run again",
    errno.ENOTDIR: "a file stands where a folder is needed: move it, or choose another folder",
    errno.EPERM: "that is not permitted there: check the rights on that folder or bucket",
    errno.EROFS: "that file system is read-only: choose another folder",
}
# The same for errors that a library raised by kind, without a number.
KIND_NUMBERS: Final[Mapping[type[OSError], int]] = {
    FileNotFoundError: errno.ENOENT,
    PermissionError: errno.EACCES,
    FileExistsError: errno.EEXIST,
    NotADirectoryError: errno.ENOTDIR,
    IsADirectoryError: errno.EISDIR,
}

# The same for stores that answer over HTTP, and for SFTP, where the library has no error of the system for them.
STATUS_REMEDIES: Final[Mapping[int, str]] = {
    401: CREDENTIALS,
    403: REMEDIES[errno.EACCES],
    405: NOT_WRITABLE,
    409: NOT_WRITABLE,
    413: REMEDIES[errno.EFBIG],
    507: REMEDIES[errno.ENOSPC],
}
KIND_REMEDIES: Final[Mapping[str, str]] = {
    "asyncssh.sftp.SFTPPermissionDenied": REMEDIES[errno.EACCES],
    "asyncssh.sftp.SFTPFailure": NOT_WRITABLE,
    "webdav4.client.InsufficientStorage": REMEDIES[errno.ENOSPC],
    "webdav4.client.ForbiddenOperation": REMEDIES[errno.EACCES],
}

SECRET_NAMES: Final = re.compile(r"key|secret|token|pass|credential|connection|sas|auth", re.IGNORECASE)
QUERY: Final = re.compile(r"\?\S+")
SHORTEST_SECRET: Final = 4
# Enough for any sentence of a store; a whole XML page helps nobody.
MAX_REASON_CHARACTERS: Final = 200


def storage_error(error: Exception, *, doing: str, url: str, secrets: Iterable[str] = ()) -> StorageError:
    """The error to raise from `error`: `doing` is a verb form ("writing"), `url` what it was done to."""
    kind = StorageUnavailable if may_pass(error) else StorageError
    return kind(f"{doing} {url} failed: {_remedy(error)}{_said(error, secrets)}")


def is_taken(error: Exception) -> bool:
    """Whether an exclusive create found the name taken."""
    return isinstance(error, FileExistsError) or bool(_codes(error) & TAKEN_CODES)


def is_missing_bucket(error: Exception) -> bool:
    """Whether not only a file or folder, but the whole bucket or container is missing."""
    return bool(_codes(error) & MISSING_BUCKET_CODES)


def secrets_of(options: Mapping[str, Any]) -> list[str]:
    """The texts in storage options that no message may show, the longest first."""
    return sorted(_secret_texts(options, secret=False), key=len, reverse=True)


def _secret_texts(value: object, *, secret: bool) -> Iterator[str]:
    if isinstance(value, str) and secret and len(value) >= SHORTEST_SECRET:
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _secret_texts(inner, secret=secret or bool(SECRET_NAMES.search(str(name))))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secret_texts(inner, secret=secret)


def may_pass(error: Exception) -> bool:
    """Whether the same call may work later."""
    if _kinds(error) & PASSING_KINDS or _codes(error) & PASSING_CODES:
        return True
    if isinstance(error, OSError) and error.errno in PASSING_NUMBERS:
        return True
    return any(status == TOO_MANY_REQUESTS or status >= SERVER_ERROR for status in _statuses(error))


def _remedy(error: Exception) -> str:
    if is_missing_bucket(error):
        return "there is no such bucket: create it, or correct its name"
    kinds, statuses = _kinds(error), list(_statuses(error))
    if kinds & NO_CREDENTIALS:
        return CREDENTIALS
    said = [KIND_REMEDIES.get(kind) for kind in kinds] + [STATUS_REMEDIES.get(status) for status in statuses]
    if remedy := next(filter(None, said), None):
        return remedy
    number = error.errno if isinstance(error, OSError) else None
    if may_pass(error) and number != errno.EMFILE:
        has_answered = number == REMOTE_ERROR or any(status >= SERVER_ERROR for status in statuses)
        return BROKEN if has_answered else AWAY
    if number not in REMEDIES:
        number = next((of_kind for kind, of_kind in KIND_NUMBERS.items() if isinstance(error, kind)), None)
    return REMEDIES.get(number or 0, "the file system refused it")


def _said(error: Exception, secrets: Iterable[str]) -> str:
    """What the library said, in brackets, without what must not be shown."""
    text = getattr(error, "strerror", None) or str(error)
    line = QUERY.sub("?...", str(text).strip().split("\n", 1)[0])
    for secret in secrets:
        line = line.replace(secret, "***")
    return f" ({type(error).__name__}: {line[:MAX_REASON_CHARACTERS]})" if line else f" ({type(error).__name__})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _kinds(error: BaseException) -> set[str]:
    return {f"{kind.__module__}.{kind.__qualname__}" for cause in _causes(error) for kind in type(cause).__mro__}


def _codes(error: BaseException) -> set[str]:
    """The stores' own words: botocore keeps them in the answer, Azure's library in `error_code`."""
    found: set[str] = set()
    for cause in _causes(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            found.add(str(response.get("Error", {}).get("Code")))
        found.add(str(getattr(cause, "error_code", None)))
    return found


def _statuses(error: BaseException) -> Iterator[int]:
    """The HTTP statuses behind it: botocore's answer, Azure's `status_code`, gcsfs's `code`."""
    for cause in _causes(error):
        response = getattr(cause, "response", None)
        metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
        said = (metadata.get("HTTPStatusCode"), getattr(cause, "status_code", None), getattr(cause, "code", None))
        yield from (status for status in said if isinstance(status, int))
