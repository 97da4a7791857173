"""Rights as the Roles that grant them, ready for `kubectl apply`. Pure.

The trap: who applies a Role of a name that is there replaces all of its rules. So a Role always holds everything that
is wanted in its namespace, and not only what is missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from bot.clusters import Access

_API = "rbac.authorization.k8s.io"
_NAME = "vakhta"
_ACCOUNT = "system:serviceaccount:"

#: A document of YAML.
Document = Mapping[str, Any]


def documents(wanted: Iterable[Access], user: str) -> list[Document]:
    """A Role and its binding for each namespace, a ClusterRole and its own for what is in none. `user`: the bot."""
    by_namespace: dict[str, set[Access]] = defaultdict(set)
    for one in wanted:
        by_namespace[one.namespace].add(one)
    return [made for where in sorted(by_namespace) for made in _pair(where, by_namespace[where], user)]


def _pair(namespace: str, wanted: Iterable[Access], user: str) -> tuple[Document, Document]:
    kind = "Role" if namespace else "ClusterRole"
    meta = {"name": _NAME} | ({"namespace": namespace} if namespace else {})
    head = {"apiVersion": f"{_API}/v1"}
    role = {**head, "kind": kind, "metadata": meta, "rules": _rules(wanted)}
    ref = {"apiGroup": _API, "kind": kind, "name": _NAME}
    bound = {**head, "kind": f"{kind}Binding", "metadata": dict(meta), "roleRef": ref, "subjects": [_subject(user)]}
    return role, bound


def _rules(wanted: Iterable[Access]) -> list[Document]:
    """Verbs of one object together, then resources of the same verbs."""
    verbs: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for one in wanted:
        verbs[one.group, one.name, one.resource].add(one.verb)
    resources: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, name, resource), some in sorted(verbs.items()):
        resources[group, name, tuple(sorted(some))].append(resource)
    return [
        {"apiGroups": [group], "resources": several, "verbs": list(some)} | ({"resourceNames": [name]} if name else {})
        for (group, name, some), several in sorted(resources.items())
    ]


def _subject(user: str) -> Document:
    if user.startswith(_ACCOUNT):
        namespace, _, name = user.removeprefix(_ACCOUNT).partition(":")
        return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return {"kind": "User", "name": user, "apiGroup": _API}
