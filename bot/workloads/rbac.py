"""What each action has to be granted in a cluster: reads and writes, by its verb and the kind of workload.

`vakhta check --cluster` asks for these and prints them as a Role. They are enough: tests run each action with nothing
else granted. What an action writes to the workload itself is granted for that one object.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.kubernetes import ObjectRef, ResourceAccess, ResourceKind
from bot.workloads.objects import kinds


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """Some verbs on one resource, in the namespace of the workload."""

    kind: ResourceKind
    verbs: tuple[str, ...]
    sub: str = ""
    own_object_only: bool = False  #: on the workload alone, by its name
    at: tuple[str, str] = ("", "")  #: on one object of another namespace: that, and its name
    cluster_wide: bool = False  #: wherever it is: what belongs to no namespace, or to one that is not known beforehand


_LOOK = ("get", "list", "watch")


#: Whether the namespace is being deleted. The API asks RBAC for its own name, so that a Role in it can grant that.
_LIVING = Grant(kind=kinds.NAMESPACE, verbs=("get",))


def _read(*read: ResourceKind) -> tuple[Grant, ...]:
    return tuple(Grant(kind=one, verbs=("get", "list")) for one in read)


def _own(kind: ResourceKind, *verbs: str, sub: str = "") -> Grant:
    return Grant(kind=kind, verbs=verbs, sub=sub, own_object_only=True)


#: What the pods of a workload are made by, beside itself.
_REVISIONS = {
    kinds.DEPLOYMENT: kinds.REPLICASET,
    kinds.ROLLOUT: kinds.REPLICASET,
    kinds.STATEFULSET: kinds.REVISION,
    kinds.DAEMONSET: kinds.REVISION,
}

#: Who keeps a workload as it is, and would take a change back: in any namespace.
_KEEPERS = (
    Grant(kind=kinds.APPLICATION, verbs=("get", "list"), cluster_wide=True),
    Grant(kind=kinds.KUSTOMIZATION, verbs=("get",), cluster_wide=True),
    Grant(kind=kinds.HELMRELEASE, verbs=("get",), cluster_wide=True),
)

_SCALE = (
    *_read(kinds.HPA, kinds.SCALED, kinds.QUOTA, kinds.LIMITS, kinds.PDB, kinds.CLAIM),
    Grant(kind=kinds.HPA, verbs=("patch",)),
    Grant(kind=kinds.SCALED, verbs=("patch",)),
    Grant(kind=kinds.NODE, verbs=("get", "list"), cluster_wide=True),
    Grant(kind=kinds.POD, verbs=("list",), cluster_wide=True),
    Grant(kind=kinds.CONFIG, verbs=("get",), at=("kube-system", "cluster-autoscaler-status")),
)
#: A Rollout may run the pods of a Deployment, and whoever scales the one has to know of the other.
_OTHER = {kinds.DEPLOYMENT: kinds.ROLLOUT, kinds.ROLLOUT: kinds.DEPLOYMENT}


def _scale(kind: ResourceKind) -> tuple[Grant, ...]:
    other = _read(_OTHER[kind]) if kind in _OTHER else ()
    return (_own(kind, "get", "patch", sub="scale"), *other, *_SCALE)


def _rollback(kind: ResourceKind) -> tuple[Grant, ...]:
    """A StatefulSet's pods that hang on the revision which is left have to be deleted; nobody else does it."""
    unstuck = (Grant(kind=kinds.POD, verbs=("delete",)),) if kind is kinds.STATEFULSET else ()
    stopped = _rollout(kind) if kind is kinds.ROLLOUT else ()
    return (_own(kind, "patch"), *_read(kinds.CONFIG), *unstuck, *stopped)


def _rollout(kind: ResourceKind) -> tuple[Grant, ...]:
    return (_own(kind, "patch"), _own(kind, "patch", sub="status"), *_read(kinds.ANALYSIS, kinds.SERVICE))


#: A Deployment has its traffic split by Flagger, or by a canary Ingress, whose weight is written there.
_WEIGHTS = (*_read(kinds.CANARY, kinds.INGRESS, kinds.SERVICE), Grant(kind=kinds.INGRESS, verbs=("patch",)))


#: What a verb needs of a workload of that kind; of one that is not here, nothing.
_BY_VERB: Mapping[str, Mapping[ResourceKind, tuple[Grant, ...]]] = {
    "scale": {one: _scale(one) for one in (kinds.DEPLOYMENT, kinds.STATEFULSET, kinds.ROLLOUT)},
    "rollback": {one: _rollback(one) for one in _REVISIONS},
    "promote": {kinds.ROLLOUT: _rollout(kinds.ROLLOUT), kinds.DEPLOYMENT: _WEIGHTS},
    **{verb: {kinds.ROLLOUT: _rollout(kinds.ROLLOUT)} for verb in ("retry", "pause", "resume")},
    "abort": {kinds.ROLLOUT: _rollout(kinds.ROLLOUT), kinds.DEPLOYMENT: _read(kinds.CANARY)},
    "status": {**dict.fromkeys(_REVISIONS, ()), kinds.ROLLOUT: _read(kinds.ANALYSIS)},
    "restart": {one: (_own(one, "patch"),) for one in _REVISIONS},
    "autosync": dict.fromkeys(_REVISIONS, (Grant(kind=kinds.APPLICATION, verbs=("patch",), cluster_wide=True),)),
}

VERBS = tuple(_BY_VERB)

#: What is done to a node, and what that takes.
ON_NODES: Mapping[str, tuple[ResourceAccess, ...]] = dict.fromkeys(
    ("cordon", "uncordon"),
    (
        *(ResourceAccess(verb=verb, group="", resource="nodes") for verb in ("get", "list", "patch")),
        ResourceAccess(verb="list", group="", resource="pods"),
    ),
)


def grants_for(verb: str, workload: ObjectRef) -> tuple[ResourceAccess, ...]:
    """All that this action needs on that workload; nothing where it is not for such a one."""
    kind = workload.kind
    own = _BY_VERB.get(verb, {}).get(kind)
    if own is None:
        return ()
    always = (_LIVING, Grant(kind=kind, verbs=_LOOK), *_read(kinds.POD, kinds.EVENT, _REVISIONS[kind]), *_KEEPERS)
    return tuple(dict.fromkeys(access for one in (*always, *own) for access in _accesses(one, workload)))


def helm_grants(workload: ObjectRef) -> tuple[ResourceAccess, ...]:
    """What Helm's program needs beside, as far as can be known: its Secrets, which RBAC cannot tell from others."""
    grant = Grant(kind=kinds.SECRET, verbs=("get", "list", "create", "update", "delete"))
    return tuple(_accesses(grant, workload))


def keep_replicas_grants(workload: ObjectRef) -> tuple[ResourceAccess, ...]:
    """What it takes to keep a count through a rollback: to know that nobody scales it, and to set it again."""
    wanted = (_own(workload.kind, "get", "patch", sub="scale"), *_read(kinds.HPA, kinds.SCALED))
    return tuple(access for one in wanted for access in _accesses(one, workload))


def _accesses(grant: Grant, workload: ObjectRef) -> Iterator[ResourceAccess]:
    own = (workload.namespace, workload.name if grant.own_object_only else "")
    namespace, name = grant.at if any(grant.at) else ("", "") if grant.cluster_wide else own
    for verb in grant.verbs:
        yield ResourceAccess(
            verb=verb,
            group=grant.kind.group,
            resource=grant.kind.plural + (f"/{grant.sub}" if grant.sub else ""),
            namespace=namespace,
            name=name,
        )


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
