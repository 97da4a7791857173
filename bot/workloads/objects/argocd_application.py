"""Reads an Application of Argo CD: whether it reverts a change, and which differences it ignores. Pure.

The trap: `ignoreDifferences` keeps Argo CD from seeing a difference, not from overwriting it. The next sync, for
whatever reason, applies all of git, unless its sync options include RespectIgnoreDifferences.
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
#: `.spec.replicas`, `.spec["replicas"]`: only jq paths of this form are understood.
_JQ = re.compile(r'(?:\.[A-Za-z_]\w*|\.?\["[^"\\]+"\])+')
_JQ_PART = re.compile(r'\.([A-Za-z_]\w*)|\["([^"\\]+)"\]')


def policy(application: KubernetesObject) -> Mapping[str, Any]:
    """Its syncPolicy; empty where it has none."""
    return dict((application.get("spec") or {}).get("syncPolicy") or {})


def syncs_itself(application: KubernetesObject) -> bool:
    """Whether auto-sync is on. `enabled: false` came with Argo CD 3.1."""
    automated = policy(application).get("automated")
    return automated is not None and automated.get("enabled") is not False


def heals_itself(application: KubernetesObject) -> bool:
    """Whether self-heal is on: changes by others are reverted at once."""
    return syncs_itself(application) and policy(application)["automated"].get("selfHeal") is True


def is_skipped(application: KubernetesObject) -> bool:
    """Whether an annotation makes Argo CD leave the whole application alone."""
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
    """Checks that the application manages that object, before anything is done to it.

    The trap: the mark that names an application is on the object, and anybody who may write the object can name any.

    Raises:
        Rejected: the object is not among the application's resources.
    """
    if not has(application, ref):
        name = application["metadata"]["name"]
        message = f"{ref} is marked as managed by application {name}, but is not among its resources."
        raise Rejected(f"{message} Nothing was done. Correct the mark.", code="not_kept", status=HTTPStatus.CONFLICT)


def ignores(application: KubernetesObject, ref: ObjectRef, path: str) -> bool:
    """Whether it ignores differences at that whole JSON path of the object; ignoring a part of it is not enough.

    `managedFieldsManagers` are not considered: they name writers, and each run of the bot is a writer of its own.
    """
    return any(_covers(pointer, path) for pointer in _ignored(application, ref))


def names(application: KubernetesObject, thing: KubernetesObject, path: str) -> bool:
    """Whether git sets that path, as far as that can be known: a path that git does not set is never reverted.

    Read from the last applied configuration on the object. A server-side apply keeps no such copy.
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
    """JSON pointers of everything that it ignores of that object."""
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
    """A jq path as a JSON pointer; "" where it is more than a path of plain names."""
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
