"""What an Application of Argo CD says: who takes a change back, and which changes it lets be. Pure.

The trap: `ignoreDifferences` keeps Argo CD from seeing a difference, not from writing over it. The next sync, for
whatever reason, applies all of git, unless RespectIgnoreDifferences is among the options of its syncs.
https://argo-cd.readthedocs.io/en/stable/user-guide/diffing/
https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject, ObjectRef

SKIPPED = "argocd.argoproj.io/skip-reconcile"
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: `.spec.replicas`, `.spec["replicas"]`: what a jq path has to be for us to know what it names.
_JQ = re.compile(r'(?:\.[A-Za-z_]\w*|\.?\["[^"\\]+"\])+')
_JQ_PART = re.compile(r'\.([A-Za-z_]\w*)|\["([^"\\]+)"\]')


def policy(application: KubernetesObject) -> Mapping[str, Any]:
    """Its syncPolicy; empty where it has none."""
    return dict((application.get("spec") or {}).get("syncPolicy") or {})


def syncs_itself(application: KubernetesObject) -> bool:
    """Whether a change in git is applied without anybody asking. `enabled: false` came with 3.1."""
    automated = policy(application).get("automated")
    return automated is not None and automated.get("enabled") is not False


def heals_itself(application: KubernetesObject) -> bool:
    """Whether what somebody else changes is set back at once."""
    return syncs_itself(application) and policy(application)["automated"].get("selfHeal") is True


def is_skipped(application: KubernetesObject) -> bool:
    """Whether Argo CD was told to leave the application alone altogether."""
    notes = (application.get("metadata") or {}).get("annotations") or {}
    return str(notes.get(SKIPPED, "")) == "true"


def respects(application: KubernetesObject) -> bool:
    """Whether its syncs leave alone what it ignores."""
    return "RespectIgnoreDifferences=true" in _options(application)


def has(application: KubernetesObject, ref: ObjectRef) -> bool:
    """Whether that object is among its resources."""
    return any(
        (one.get("group", ""), one.get("kind"), one.get("namespace", ""), one.get("name"))
        == (ref.kind.group, ref.kind.title, ref.namespace, ref.name)
        for one in (application.get("status") or {}).get("resources") or ()
    )


def check_has(application: KubernetesObject, ref: ObjectRef) -> None:
    """Before the application is acted on for that object's sake.

    The trap: the mark that names an application is on the object, and whoever may write there can name any.

    Raises:
        Rejected: Argo CD knows nothing of it.
    """
    if not has(application, ref):
        name = application["metadata"]["name"]
        message = f"By its mark application {name} keeps {ref}, and that is not among the application's resources."
        raise Rejected(f"{message} Nothing was done. Correct the mark.", code="not_kept", status=HTTPStatus.CONFLICT)


def ignores(application: KubernetesObject, ref: ObjectRef, path: str) -> bool:
    """Whether it does not look at that JSON path of the object. A part of it that it ignores is not enough.

    `managedFieldsManagers` say nothing here: they trust the writers that they name, and each run of the bot is a writer
    of its own.
    """
    return any(_covers(pointer, path) for pointer in _ignored(application, ref))


def names(application: KubernetesObject, thing: KubernetesObject, path: str) -> bool:
    """Whether git says anything about that path, as far as can be told: what it does not name is never set back.

    What was applied last stands on the object, unless it is applied by the server, which keeps no such copy.
    """
    applied = ((thing.get("metadata") or {}).get("annotations") or {}).get(_APPLIED)
    if not applied or "ServerSideApply=true" in _options(application):
        return True
    try:
        place = json.loads(applied)
    except ValueError:
        return True
    for part in _parts(path):
        if not isinstance(place, dict) or part not in place:
            return False
        place = place[part]
    return True


def _options(application: KubernetesObject) -> Sequence[str]:
    return tuple(str(one).replace(" ", "") for one in policy(application).get("syncOptions") or ())


def _ignored(application: KubernetesObject, ref: ObjectRef) -> Iterator[str]:
    """JSON pointers of all that it ignores of that object."""
    for one in (application.get("spec") or {}).get("ignoreDifferences") or ():
        if _is_for(one, ref):
            yield from one.get("jsonPointers") or ()
            yield from filter(None, map(_pointer, one.get("jqPathExpressions") or ()))


def _is_for(one: Mapping[str, Any], ref: ObjectRef) -> bool:
    kinds = fnmatchcase(ref.kind.group, str(one.get("group") or "")) and fnmatchcase(
        ref.kind.title, str(one.get("kind") or "")
    )
    return kinds and one.get("name") in (None, "", ref.name) and one.get("namespace") in (None, "", ref.namespace)


def _pointer(expression: str) -> str:
    """The JSON pointer that a jq path is; "" where it is more than a path of plain names."""
    expression = expression.strip()
    if not _JQ.fullmatch(expression):
        return ""
    parts = (found[1] or found[2] for found in _JQ_PART.finditer(expression))
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)


def _covers(pointer: str, path: str) -> bool:
    held = _parts(pointer)
    return bool(held) and _parts(path)[: len(held)] == held


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
