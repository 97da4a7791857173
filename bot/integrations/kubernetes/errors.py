"""Classifies errors of a Kubernetes API server: conflict, refused (and by whom), or outcome unknown. Pure.

The trap: the part that denies a write chooses the status code. An admission webhook may answer 409, 422 or 500, and a
policy in CEL answers 422, like a patch that no longer applies; tried again, it denies again. They are told apart by how
the server begins the message, and by its reason.
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

_MAX_READ, _MAX_SHOWN = 20_000, 500

#: Prefixes of the server: "Internal error occurred: ", `deployments.apps "api" is forbidden: `.
_BEGINS = r'(?:Internal error occurred: )?(?:[\w./-]+ "[^"]*" is forbidden: )?'
#: A 403 of the server's own admission (quotas, limits, pod security), and not for missing rights.
_ADMISSION = re.compile(r'[\w./-]+ "[^"]*" is forbidden: (?!User ["\'])')
#: The object has another version; or, of an apply, another manager owns a field with another value.
_CONFLICTS = ("Operation cannot be fulfilled on ", "Apply failed with ")
_UNFIT = "the server rejected our request due to an error in our request"


class ApiErrorKind(StrEnum):
    """The result of a write that failed; nothing was done except perhaps for UNKNOWN."""

    CONFLICT = "moved"  #: the object is not as the patch expects it, or its version is gone
    EXISTS = "exists"  #: there is an object of that name
    DENIED = "denied"  #: refused by an admission webhook, a policy, a quota or the like
    WEBHOOK_FAILED = "unasked"  #: an admission webhook that has to be called does not answer, or failed
    NO_DRY_RUN = "no_dry_run"  #: an admission webhook does not support a dry run
    NO_ENTRY = "no_entry"  #: the user has no right to it
    REFUSED = "refused"
    UNKNOWN = "unknown"  #: the server, or a proxy before it, failed


#: What refused, by how the message begins; whatever the status is.
_BY_MESSAGE: tuple[tuple[re.Pattern[str], ApiErrorKind], ...] = (
    (re.compile(_BEGINS + r'admission webhook "[^"]*" does not support dry run'), ApiErrorKind.NO_DRY_RUN),
    (re.compile(_BEGINS + r'admission webhook "[^"]*" '), ApiErrorKind.DENIED),
    (
        re.compile(_BEGINS + r"""(?:ValidatingAdmissionPolicy|policy) ['"][^'"]*['"][^:]* denied request"""),
        ApiErrorKind.DENIED,
    ),
    (re.compile(_BEGINS + r'failed calling webhook "[^"]*"'), ApiErrorKind.WEBHOOK_FAILED),
    (re.compile(_BEGINS + r"(?:Validating|Mutating)AdmissionWebhook/\S+ has panicked"), ApiErrorKind.WEBHOOK_FAILED),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiError:
    """`message`: the server's own text, fit to be shown."""

    kind: ApiErrorKind
    message: str


def classify(status: int, answer: object, otherwise: str, sent_as: str = "") -> ApiError:
    """`answer`: the decoded body; `otherwise`: the message if it is no Status; `sent_as`: the type of a patch."""
    body: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    text = body.get("message")
    message = text[:_MAX_READ] if isinstance(text, str) else ""
    kind = _kind(status, body, message, sent_as)
    return ApiError(kind=kind, message=shown(message or otherwise, _MAX_SHOWN) or "no reason given")


def _kind(status: int, body: Mapping[str, Any], message: str, sent_as: str) -> ApiErrorKind:
    found = next((kind for pattern, kind in _BY_MESSAGE if pattern.match(message)), None)
    if found is not None and status != HTTPStatus.UNAUTHORIZED:
        return found
    if status == HTTPStatus.CONFLICT and body.get("reason") == "Conflict" and message.startswith(_CONFLICTS):
        return ApiErrorKind.CONFLICT
    if status == HTTPStatus.CONFLICT and body.get("reason") == "AlreadyExists":
        return ApiErrorKind.EXISTS
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and sent_as == PatchType.JSON and message.startswith(_UNFIT):
        return ApiErrorKind.CONFLICT
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ApiErrorKind.DENIED if _ADMISSION.match(message) else ApiErrorKind.NO_ENTRY
    return ApiErrorKind.UNKNOWN if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ApiErrorKind.REFUSED
