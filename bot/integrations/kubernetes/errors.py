"""What a Kubernetes API server means by an answer that is no yes: moved, refused and by whom, or nobody knows. Pure.

The trap: whoever denies a write chooses the status code. An admission webhook may answer 409, 422 or 500, and a policy
in CEL answers 422, as a patch that no longer fits does; asked again, it denies again. What tells them apart is how the
server itself begins the message, and the reason that it gives.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#response
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from bot.core.kubernetes import PatchType
from bot.lib.redact import shown

_MOST_READ, _MOST_SHOWN = 20_000, 500

#: What the server may put before it: "Internal error occurred: ", `deployments.apps "api" is forbidden: `.
_BEGINS = r'(?:Internal error occurred: )?(?:[\w./-]+ "[^"]*" is forbidden: )?'
#: A 403 of its own admission (quotas, limits, the security of pods), and not of who asks.
_OTHERWISE = re.compile(r'[\w./-]+ "[^"]*" is forbidden: (?!User ["\'])')
#: Another version of it is there; or, of an apply, somebody else holds a field with another value.
_CONFLICTS = ("Operation cannot be fulfilled on ", "Apply failed with ")
_UNFIT = "the server rejected our request due to an error in our request"


class ApiErrorKind(StrEnum):
    """What became of a write; each but UNKNOWN did nothing."""

    CONFLICT = "moved"  #: it is not as the patch expects it, or its version is gone
    DENIED = "denied"  #: an admission webhook, a policy, a quota or the like says no
    NOT_AUTHENTICATED = "unasked"  #: a webhook that has to be asked first does not answer, or broke
    NO_DRY_RUN = "no_dry_run"  #: a webhook takes none
    NO_ENTRY = "no_entry"  #: whoever asks may not
    REFUSED = "refused"
    UNKNOWN = "unknown"  #: the server, or something before it, broke off


#: Who speaks, by how the server begins; whatever the status is.
_WORDED: tuple[tuple[re.Pattern[str], ApiErrorKind], ...] = (
    (re.compile(_BEGINS + r'admission webhook "[^"]*" does not support dry run'), ApiErrorKind.NO_DRY_RUN),
    (re.compile(_BEGINS + r'admission webhook "[^"]*" '), ApiErrorKind.DENIED),
    (
        re.compile(_BEGINS + r"""(?:ValidatingAdmissionPolicy|policy) ['"][^'"]*['"][^:]* denied request"""),
        ApiErrorKind.DENIED,
    ),
    (re.compile(_BEGINS + r'failed calling webhook "[^"]*"'), ApiErrorKind.NOT_AUTHENTICATED),
    (re.compile(_BEGINS + r"(?:Validating|Mutating)AdmissionWebhook/\S+ has panicked"), ApiErrorKind.NOT_AUTHENTICATED),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiError:
    """`message`: the server's own words, fit to be shown, with whose they are."""

    kind: ApiErrorKind
    message: str


def classify(status: int, told: object, otherwise: str, sent_as: str = "") -> ApiError:
    """What that answer means. `told`: its body, `otherwise`: said where that is no Status; `sent_as`: of a patch."""
    body: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    words = body.get("message")
    message = words[:_MOST_READ] if isinstance(words, str) else ""
    meant = _meant(status, body, message, sent_as)
    return ApiError(kind=meant, message=shown(message or otherwise, _MOST_SHOWN) or "no reason given")


def _meant(status: int, body: Mapping[str, Any], message: str, sent_as: str) -> ApiErrorKind:
    worded = next((meant for pattern, meant in _WORDED if pattern.match(message)), None)
    if worded is not None and status != HTTPStatus.UNAUTHORIZED:
        return worded
    if status == HTTPStatus.CONFLICT and body.get("reason") == "Conflict" and message.startswith(_CONFLICTS):
        return ApiErrorKind.CONFLICT
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and sent_as == PatchType.JSON and message.startswith(_UNFIT):
        return ApiErrorKind.CONFLICT
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ApiErrorKind.DENIED if _OTHERWISE.match(message) else ApiErrorKind.NO_ENTRY
    return ApiErrorKind.UNKNOWN if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ApiErrorKind.REFUSED
