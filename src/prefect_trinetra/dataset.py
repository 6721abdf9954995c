"""A dataset's identity, and the folder it lives in."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from prefect_trinetra.errors import DatasetError
from prefect_trinetra.settings import Account
from prefect_trinetra.storage import Storage

__all__ = ["IDENTITY_FILE", "Identity", "idempotency_key", "identify", "read_identity"]

IDENTITY_FILE: Final = "dataset.json"
LAYOUT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """What a dataset is: made once, before its first plan, and never changed."""

    layout_version: int
    id: str
    origin: str
    account_label: str
    made_at: str

    @classmethod
    def new(cls, account: Account) -> Identity:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(LAYOUT_VERSION, uuid.uuid4().hex, account.origin, account.label, now)


async def identify(storage: Storage, account: Account) -> Identity:
    """The dataset's identity, made now if it has none. Raises DatasetError where it belongs to another API origin."""
    identity = await read_identity(storage)
    if identity is None:
        await _refuse_strangers(storage)
        await storage.create(IDENTITY_FILE, orjson.dumps(asdict(Identity.new(account)), option=orjson.OPT_INDENT_2))
        identity = await read_identity(storage)
    if identity is None:
        raise DatasetError(f"{storage.url}/{IDENTITY_FILE} was written and can't be read back: check the storage")
    if identity.origin != account.origin:
        raise DatasetError(
            f"the dataset {storage.url} holds images of {identity.origin}, and this run would buy from "
            f"{account.origin}: choose another dataset folder, or set TRINETRA_BASE_URL to the dataset's own origin. "
            "Nothing was sent."
        )
    return identity


async def read_identity(storage: Storage) -> Identity | None:
    """The dataset's identity, or None where the folder is no dataset yet."""
    try:
        identity = _identity(orjson.loads(await storage.read(IDENTITY_FILE)))
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise DatasetError(f"{storage.url}/{IDENTITY_FILE} is damaged ({error}): restore it from a copy") from error
    if identity.layout_version > LAYOUT_VERSION:
        raise DatasetError(f"the dataset {storage.url} was made by a newer prefect-trinetra: upgrade to read it")
    return identity


def _identity(fields: Mapping[str, Any]) -> Identity:
    return Identity(**{name: fields[name] for name in Identity.__slots__})


async def _refuse_strangers(storage: Storage) -> None:
    """A folder with records but no identity lost its identity: to start afresh there would buy everything again."""
    if await storage.list("attempts") or await storage.list("journal"):
        raise DatasetError(
            f"{storage.url} holds paid work but no {IDENTITY_FILE}: restore that file, or choose another dataset folder"
        )


def idempotency_key(dataset_id: str, key: str, attempt: int) -> str:
    """The Idempotency-Key of one POST: the same for the same dataset, request and attempt, whoever sends it."""
    return hashlib.sha256(f"{dataset_id}\0{key}\0{attempt}".encode()).hexdigest()
