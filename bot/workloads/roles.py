"""Rights as the Roles that grant them, ready for `kubectl apply`. Pure.

The trap: who applies a Role of a name that is there replaces all of its rules, and a binding its subjects. So a Role
always holds everything that is wanted in its namespace, and not only what is missing; and its name is of the account,
so that the Role of one bot does not take the rights of another.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from bot.core.kubernetes import ResourceAccess

_API = "rbac.authorization.k8s.io"
_ACCOUNT = "system:serviceaccount:"
_SESSION = re.compile(r"^(arn:aws[a-z-]*:sts::[0-9]+:assumed-role/[^/]+)/[^/]+$")
_PREFIX, _LONGEST, _DIGITS = "vakhta", 36, 12

#: A document of YAML.
Document = Mapping[str, Any]


def role_documents(wanted: Iterable[ResourceAccess], user: str, name: str = "") -> list[Document]:
    """A Role and its binding for each namespace, a ClusterRole and its own for what is in none. `user`: the bot.

    `name`: theirs, where the user is none that is known.
    """
    by_namespace: dict[str, set[ResourceAccess]] = defaultdict(set)
    for one in wanted:
        by_namespace[one.namespace].add(one)
    called = name or name_of(user)
    return [made for where in sorted(by_namespace) for made in _pair(where, by_namespace[where], user, called)]


def name_of(user: str) -> str:
    """Of the Roles and bindings of that account: a name that DNS and every kind take, and no other account's.

    The words are for people to know it by; what tells "a-b" of "c" from "b-c" of "a" is the digest behind them. A role
    of AWS is another user with each session, and one account.
    """
    account = _SESSION.sub(r"\1", user)
    words = re.sub(r"[^a-z0-9]+", "-", account.removeprefix(_ACCOUNT).lower()).strip("-")[:_LONGEST].strip("-")
    digest = hashlib.sha256(account.encode()).hexdigest()[:_DIGITS]
    return "-".join(part for part in (_PREFIX, words, digest) if part)


def _pair(namespace: str, wanted: Iterable[ResourceAccess], user: str, name: str) -> tuple[Document, Document]:
    kind = "Role" if namespace else "ClusterRole"
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    head = {"apiVersion": f"{_API}/v1"}
    role = {**head, "kind": kind, "metadata": meta, "rules": _rules(wanted)}
    ref = {"apiGroup": _API, "kind": kind, "name": name}
    bound = {**head, "kind": f"{kind}Binding", "metadata": dict(meta), "roleRef": ref, "subjects": [_subject(user)]}
    return role, bound


def _rules(wanted: Iterable[ResourceAccess]) -> list[Document]:
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
