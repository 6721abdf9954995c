"""What each library's errors become: one sentence with what to do, without a secret."""

import errno

import aiohttp
import pytest
from botocore.exceptions import (  # type: ignore[import-untyped]  # it ships no types
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st

from prefect_trinetra.errors import StorageError, StorageUnavailable
from prefect_trinetra.storage_errors import is_missing_bucket, is_taken, secrets_of, storage_error


def became(error: Exception) -> StorageError:
    return storage_error(error, doing="writing", url="s3://bucket/set/a")


def answered(code: str, status: int) -> OSError:
    """What s3fs raises for an answer: an OSError with botocore's own as its cause."""
    error = OSError(errno.EIO, "the server said no")
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error.__cause__ = ClientError(answer, "PutObject")
    return error


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError(),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        OSError(errno.EMFILE, "Too many open files"),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:9"),
        ConnectTimeoutError(endpoint_url="http://127.0.0.1:9"),
        ReadTimeoutError(endpoint_url="http://127.0.0.1:9"),
        aiohttp.ServerDisconnectedError(),
        answered("SlowDown", 503),
        answered("Whatever", 500),
        answered("Whatever", 429),
        answered("ConditionalRequestConflict", 409),
    ],
    ids=repr,
)
def test_what_may_pass_is_unavailable(error: Exception) -> None:
    """Time-outs, connections, busy stores: the caller repeats the call."""
    assert isinstance(became(error), StorageUnavailable)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "the quota is used up"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only"),
        (PermissionError("Access Denied"), "permission is missing"),
        (PermissionError(errno.EACCES, "Permission denied"), "permission is missing"),
        (NotADirectoryError(), "a file stands"),
        (FileExistsError(errno.EEXIST, "File exists"), "a file stands"),
        (NoCredentialsError(), "credentials are missing"),
        (answered("NoSuchBucket", 404), "no such bucket"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "name is too long"),
        (RuntimeError("something else"), "the file system refused it"),
    ],
    ids=repr,
)
def test_what_stays_says_what_to_do(error: Exception, sentence: str) -> None:
    """Repeating would not help: the user has to do something."""
    found = became(error)
    assert not isinstance(found, StorageUnavailable)
    assert str(found).startswith("writing s3://bucket/set/a failed: ")
    assert sentence in str(found)


def test_a_taken_name_is_known_whatever_it_is_called() -> None:
    """S3 servers disagree about the error, not about the code behind it."""
    assert is_taken(FileExistsError())
    assert is_taken(answered("PreconditionFailed", 412))
    assert not is_taken(answered("ConditionalRequestConflict", 409))
    assert not is_taken(OSError(errno.EINVAL, "Invalid argument"))


def test_a_missing_file_is_no_missing_bucket() -> None:
    """Only the second is an error where files are looked for."""
    assert is_missing_bucket(answered("NoSuchBucket", 404))
    assert not is_missing_bucket(answered("NoSuchKey", 404))
    assert not is_missing_bucket(FileNotFoundError("gone"))


SECRETS = st.text("abcdefXYZ0123456789+/=", min_size=4, max_size=60)


@given(
    secret=SECRETS, name=st.sampled_from(["secret", "aws_secret_access_key", "sas_token", "password", "account_key"])
)
def test_no_secret_option_is_ever_shown(secret: str, name: str) -> None:
    """However deep it stands in the options, and wherever a library repeats it."""
    hidden = secrets_of({"client_kwargs": {name: secret}, "endpoint_url": "http://store"})
    message = str(storage_error(OSError(f"denied for <{secret}>"), doing="writing", url="s3://b/a", secrets=hidden))
    assert f"<{secret}>" not in message
    assert "<***>" in message


def test_plain_options_are_no_secrets() -> None:
    """An endpoint or a region in a message helps."""
    assert secrets_of({"endpoint_url": "http://store", "anon": False, "client_kwargs": {"region_name": "eu"}}) == []


def test_a_signed_url_is_shown_without_its_signature() -> None:
    """Azure's and Google's libraries repeat the URL that they asked."""
    message = str(became(OSError("403 for https://store/container/a?sv=1&sig=verysecret, sorry")))
    assert "https://store/container/a?..." in message
    assert "verysecret" not in message


def test_a_message_is_one_line_of_bounded_length() -> None:
    """A page of XML helps nobody."""
    message = str(became(OSError("x" * 5000 + "\nand more")))
    assert len(message) < 400
    assert "\n" not in message
