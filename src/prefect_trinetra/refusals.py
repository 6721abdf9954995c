"""The class of a refusal or of a failed job, told from what the provider says about it. Pure.

Nobody documents error codes, so codes and words are matched leniently; what is not recognised gets the general class.
"""

from __future__ import annotations

import re
from typing import Final

from prefect_trinetra.complaints import Complaint
from prefect_trinetra.reasons import ReasonClass

__all__ = ["REFUSALS", "failure_class", "refusal_class"]

# A POST that is answered with one of these was not accepted.
REFUSALS: Final = frozenset({400, 401, 402, 403, 404, 405, 413, 422})

# Not the bare word: `moderation` is also a parameter, which may be wrong like any other.
_MODERATION: Final = re.compile(
    r"moderation[ _](system|filter|block|refus|reject|fail|flag|violat|denied)"
    r"|(blocked|refused|rejected|flagged|stopped) (by|for|in) (\w+ )?moderation"
    r"|content[ _](policy|filter|violation)|safety[ _](system|filter|policy|violation)|flagged as|nsfw"
)
_TRANSPARENCY: Final = re.compile(r"transparen")
_UNSUPPORTED: Final = re.compile(r"not (\w+ )?support|n't support|unsupported|not available|unavailable")
_INPUT: Final = re.compile(r"image[ _]url|input[ _]image|source[ _]image|reference[ _]image")
# By code alone: words may quote a prompt, and this stops a whole run.
_CODES: Final = (
    (re.compile(r"insufficient_(credit|balance|quota|fund)s?|(credit|balance|quota)s?_(exhausted|exceeded)|"
                r"no_credits?|payment_required|billing_hard_limit"), ReasonClass.NO_CREDITS),
    (re.compile(r"(invalid|missing|incorrect|expired|revoked)_api_key|unauthori[sz]ed|unauthenticated"),
     ReasonClass.BAD_KEY),
)  # fmt: skip


def refusal_class(status: int, complaint: Complaint) -> ReasonClass:
    """Why a POST was refused. `status` is one of REFUSALS."""
    match status:
        case 401:
            return ReasonClass.BAD_KEY
        case 402:
            return ReasonClass.NO_CREDITS
        case 404 | 405:
            return ReasonClass.BAD_ADDRESS
        case 413:
            return ReasonClass.REQUEST_TOO_LARGE
        case 403:
            return ReasonClass.MODERATION if _is_moderation(complaint) else ReasonClass.NOT_ALLOWED
        case _:
            return _account_class(complaint) or _request_class(complaint)


def failure_class(complaint: Complaint) -> ReasonClass:
    """Why a job failed that delivered nothing and charged nothing."""
    if _is_moderation(complaint):
        return ReasonClass.MODERATED_JOB
    if _INPUT.search(_said(complaint)):
        return ReasonClass.UNUSABLE_INPUT
    return ReasonClass.PROVIDER_FAILURE


def _account_class(complaint: Complaint) -> ReasonClass | None:
    code = re.sub(r"\W+", "_", (complaint.code or "").lower())
    return next((found for pattern, found in _CODES if pattern.fullmatch(code)), None)


def _request_class(complaint: Complaint) -> ReasonClass:
    if _is_moderation(complaint):
        return ReasonClass.MODERATION
    said = _said(complaint)
    if _TRANSPARENCY.search(said) and _UNSUPPORTED.search(said):
        return ReasonClass.TRANSPARENCY_UNSUPPORTED
    return ReasonClass.BAD_PARAMETER


def _is_moderation(complaint: Complaint) -> bool:
    return _MODERATION.search(_said(complaint)) is not None


def _said(complaint: Complaint) -> str:
    return f"{complaint.code or ''} {complaint.words or ''}".lower()
