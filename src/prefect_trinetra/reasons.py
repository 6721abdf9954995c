"""Why a row did not succeed, as one of a closed list of classes: what a person names after `--retry`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prefect_trinetra.outcomes import RETRYABLE, Outcome

__all__ = ["MEANINGS", "RETRY_WORDS", "Meaning", "ReasonClass", "RetryWord", "class_named", "remedy", "retry_words"]


class ReasonClass(StrEnum):
    """The kind of reason a row has for its outcome. Each belongs to one outcome; a row that succeeded has none."""

    MODERATION = "moderation"
    TRANSPARENCY_UNSUPPORTED = "transparency_unsupported"
    BAD_PARAMETER = "bad_parameter"
    REQUEST_TOO_LARGE = "request_too_large"
    BAD_KEY = "bad_key"
    NO_CREDITS = "no_credits"
    NOT_ALLOWED = "not_allowed"
    BAD_ADDRESS = "bad_address"
    ACCOUNT = "account"

    PROVIDER_FAILURE = "provider_failure"
    MODERATED_JOB = "moderated_job"
    UNUSABLE_INPUT = "unusable_input"

    KILLED = "killed"
    NO_ANSWER = "no_answer"
    SERVER_ERROR = "server_error"
    BARE_503 = "bare_503"
    REDIRECTED = "redirected"
    NO_JOB_ID = "no_job_id"
    ODD_ANSWER = "odd_answer"
    OWN_ERROR = "own_error"

    NOT_DONE = "not_done"
    UNLISTED_STATE = "unlisted_state"
    GONE_FOR_NOW = "gone_for_now"
    DOWNLOAD_TROUBLE = "download_trouble"
    STORAGE_TROUBLE = "storage_trouble"
    NOT_ACCEPTED = "not_accepted"
    NOT_SUBMITTED = "not_submitted"

    NO_OUTPUTS = "no_outputs"
    NOT_AN_IMAGE = "not_an_image"
    IMAGE_TOO_LARGE = "image_too_large"
    BAD_OUTPUT_URL = "bad_output_url"
    CHARGED_FAILURE = "charged_failure"

    URL_EXPIRED = "url_expired"
    TOO_OLD = "too_old"

    INVALID_ROW = "invalid_row"

    OVER_CAP = "over_cap"

    @property
    def outcome(self) -> Outcome:
        """The one outcome that this is a reason for."""
        return MEANINGS[self].outcome

    @property
    def concerns_account(self) -> bool:
        """Whether every other row would have fared the same: such a refusal sticks to no row."""
        return self in _ABOUT_THE_ACCOUNT


RetryWord = Outcome | ReasonClass


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a class says: the outcome it belongs to, when it is used, and what a person can do."""

    outcome: Outcome
    words: str
    remedy: str


_ABOUT_THE_ACCOUNT: Final = frozenset(
    {
        ReasonClass.BAD_KEY,
        ReasonClass.NO_CREDITS,
        ReasonClass.NOT_ALLOWED,
        ReasonClass.BAD_ADDRESS,
        ReasonClass.ACCOUNT,
    }
)

_AGAIN: Final = "run again"
_COLLECTED: Final = "run again: the job is collected, not ordered again"
_TRIED_AGAIN: Final = "run again: it is tried up to TRINETRA_MAX_ATTEMPTS times in all"


def _of(outcome: Outcome, classes: Mapping[ReasonClass, tuple[str, str]]) -> dict[ReasonClass, Meaning]:
    """The classes of one outcome: when each is used, and what a person can do besides naming it after --retry."""
    return {each: Meaning(outcome, words, _in_full(outcome, each, remedy)) for each, (words, remedy) in classes.items()}


def _in_full(outcome: Outcome, reason_class: ReasonClass, remedy: str) -> str:
    if outcome not in RETRYABLE or outcome is Outcome.FAILED or reason_class in _ABOUT_THE_ACCOUNT:
        return remedy
    word = f"--retry {reason_class}"
    return f"{remedy}, or {word}" if remedy else word


MEANINGS: Final[Mapping[ReasonClass, Meaning]] = {
    **_of(
        Outcome.REFUSED,
        {
            ReasonClass.MODERATION: ("the moderation blocked the prompt or the picture to edit", "change the row"),
            ReasonClass.TRANSPARENCY_UNSUPPORTED: ("the model makes no transparent background", "change the row"),
            ReasonClass.BAD_PARAMETER: ("400 or 422 for any other reason", "change the row"),
            ReasonClass.REQUEST_TOO_LARGE: ("413", "change the row"),
            ReasonClass.BAD_KEY: ("401, or a code that says so", "correct the API key, then run again"),
            ReasonClass.NO_CREDITS: ("402, or a code that says so", "top up the account, then run again"),
            ReasonClass.NOT_ALLOWED: ("403 without a word of moderation", "see what the key may do, then run again"),
            ReasonClass.BAD_ADDRESS: ("404 or 405", "correct TRINETRA_BASE_URL, then run again"),
            ReasonClass.ACCOUNT: ("one of the last four, as an early version recorded it", _AGAIN),
        },
    ),
    **_of(
        Outcome.FAILED,
        {
            ReasonClass.PROVIDER_FAILURE: ("the job ended in a failure state, uncharged", _TRIED_AGAIN),
            ReasonClass.MODERATED_JOB: ("the same, and the provider speaks of moderation", _TRIED_AGAIN),
            ReasonClass.UNUSABLE_INPUT: ("the same, and it speaks of the picture to edit", _TRIED_AGAIN),
        },
    ),
    **_of(
        Outcome.UNKNOWN,
        {
            ReasonClass.KILLED: ("the run ended before the answer to its POST was stored", ""),
            ReasonClass.NO_ANSWER: ("the connection broke or timed out after the POST went out", ""),
            ReasonClass.SERVER_ERROR: ("5xx other than 503", ""),
            ReasonClass.BARE_503: ("503 without `Retry-After`", ""),
            ReasonClass.REDIRECTED: ("3xx", ""),
            ReasonClass.NO_JOB_ID: ("2xx in which there is no job id", ""),
            ReasonClass.ODD_ANSWER: ("any other answer", ""),
            ReasonClass.OWN_ERROR: ("submitting broke off by an error of prefect-trinetra", ""),
        },
    ),
    **_of(
        Outcome.PENDING,
        {
            ReasonClass.NOT_DONE: ("the job was not seen to end within the job deadline", _COLLECTED),
            ReasonClass.UNLISTED_STATE: ("the same, in a state that nobody lists", _COLLECTED),
            ReasonClass.GONE_FOR_NOW: ("401, 403, 404 or 410 on a job that is known", _COLLECTED),
            ReasonClass.DOWNLOAD_TROUBLE: ("an output could not be fetched", _COLLECTED),
            ReasonClass.STORAGE_TROUBLE: ("an image could not be stored", _COLLECTED),
            ReasonClass.NOT_ACCEPTED: ("429, 503 with `Retry-After`, or nobody there, for 15 minutes", _AGAIN),
            ReasonClass.NOT_SUBMITTED: ("its turn did not come", _AGAIN),
        },
    ),
    **_of(
        Outcome.DAMAGED,
        {
            ReasonClass.NO_OUTPUTS: ("a success without any output", ""),
            ReasonClass.NOT_AN_IMAGE: ("what came is no whole image", ""),
            ReasonClass.IMAGE_TOO_LARGE: ("more bytes or pixels than `TRINETRA_MAX_IMAGE_...` allows", ""),
            ReasonClass.BAD_OUTPUT_URL: ("the output's address is none that may be fetched", ""),
            ReasonClass.CHARGED_FAILURE: ("a failure state, and charged", ""),
        },
    ),
    **_of(
        Outcome.EXPIRED,
        {
            ReasonClass.URL_EXPIRED: ("the outputs' addresses no longer work, fresh ones neither", ""),
            ReasonClass.TOO_OLD: ("pending for longer than `TRINETRA_JOB_LIFETIME_SECONDS`", ""),
        },
    ),
    **_of(Outcome.INVALID, {ReasonClass.INVALID_ROW: ("the row is no valid request", "correct the row")}),
    **_of(
        Outcome.OVER_BUDGET,
        {ReasonClass.OVER_CAP: ("its price did not fit under the cap", "run again: each run has a cap of its own")},
    ),
}

# Every word that may stand after --retry: the outcomes that can be tried again, then their classes.
RETRY_WORDS: Final[tuple[RetryWord, ...]] = (
    *(outcome for outcome in Outcome if outcome in RETRYABLE),
    *(each for each, meaning in MEANINGS.items() if meaning.outcome in RETRYABLE and each is not ReasonClass.ACCOUNT),
)
_BY_WORD: Final[Mapping[str, RetryWord]] = {word.value: word for word in RETRY_WORDS}
_BY_NAME: Final[Mapping[str, ReasonClass]] = {each.value: each for each in ReasonClass}


def class_named(name: str | None) -> ReasonClass | None:
    """The class that a ledger or a record names; None for none, and for one that only a later version knows."""
    return None if name is None else _BY_NAME.get(name)


def remedy(outcome: Outcome, reason_class: ReasonClass | None) -> str:
    """What a person can do about a row, in a few words; a class beats the outcome alone."""
    if reason_class is not None:
        return MEANINGS[reason_class].remedy
    return f"--retry {outcome}" if outcome in RETRYABLE else _AGAIN


def retry_words(written: Iterable[str]) -> frozenset[RetryWord]:
    """The outcomes and classes that these words name. Raises ValueError, listing the choices, for any other word."""
    words = list(written)
    if wrong := [word for word in words if word not in _BY_WORD]:
        raise ValueError(f"{', '.join(wrong)}: choose from {', '.join(_BY_WORD)}")
    return frozenset(_BY_WORD[word] for word in words)
