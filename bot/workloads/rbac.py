"""The rights that each action needs in a cluster, by verb and kind of workload, and the Roles that grant them.

`vakhta check --cluster` asks for these rights and prints the Roles. They are enough: tests run each action with nothing
else granted. Writes to the workload itself are granted for that one object only.
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

#: A YAML document.
Document = Mapping[str, Any]

_API = "rbac.authorization.k8s.io"
_ACCOUNT = "system:serviceaccount:"
#: A session of an AWS role: without its last part it is the account.
_SESSION = re.compile(r"^(arn:aws[a-z-]*:sts::[0-9]+:assumed-role/[^/]+)/[^/]+$")
#: Of the names of Roles: how they begin, and how long their words and their digest are.
_PREFIX, _LONGEST, _DIGITS = "vakhta", 36, 12
_READ_AND_WATCH = ("get", "list", "watch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """Some verbs on one resource, in the namespace of the workload."""

    kind: ResourceKind
    verbs: tuple[str, ...]
    sub: str = ""
    own_object_only: bool = False  #: on the workload alone, by its name
    at: tuple[str, str] = ("", "")  #: on one object elsewhere: its namespace and its name
    cluster_wide: bool = False  #: for resources without a namespace, or in one that is not known beforehand


#: To see whether the namespace is being deleted. A Role inside a namespace can grant reading that namespace.
_NAMESPACE = Grant(kind=kinds.NAMESPACE, verbs=("get",))


def _read(*read: ResourceKind) -> tuple[Grant, ...]:
    return tuple(Grant(kind=one, verbs=("get", "list")) for one in read)


def _own(kind: ResourceKind, *verbs: str, sub: str = "") -> Grant:
    return Grant(kind=kind, verbs=verbs, sub=sub, own_object_only=True)


#: The objects that keep a workload's older templates.
_REVISIONS = {
    kinds.DEPLOYMENT: kinds.REPLICASET,
    kinds.ROLLOUT: kinds.REPLICASET,
    kinds.STATEFULSET: kinds.REVISION,
    kinds.DAEMONSET: kinds.REVISION,
}

#: The tools that manage workloads and may revert a change: in any namespace.
_OWNERS = (
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
#: A Rollout may run the pods of a Deployment: to scale the one, the other has to be read.
_OTHER = {kinds.DEPLOYMENT: kinds.ROLLOUT, kinds.ROLLOUT: kinds.DEPLOYMENT}


def _scale(kind: ResourceKind) -> tuple[Grant, ...]:
    other = _read(_OTHER[kind]) if kind in _OTHER else ()
    return (_own(kind, "get", "patch", sub="scale"), *other, *_SCALE)


def _rollback(kind: ResourceKind) -> tuple[Grant, ...]:
    """A StatefulSet waits for the stuck pods of the old revision; only the bot deletes them."""
    unstuck = (Grant(kind=kinds.POD, verbs=("delete",)),) if kind is kinds.STATEFULSET else ()
    stopped = _rollout(kind) if kind is kinds.ROLLOUT else ()
    return (_own(kind, "patch"), *_read(kinds.CONFIG), *unstuck, *stopped)


def _rollout(kind: ResourceKind) -> tuple[Grant, ...]:
    return (_own(kind, "patch"), _own(kind, "patch", sub="status"), *_read(kinds.ANALYSIS, kinds.SERVICE))


#: The traffic of a Deployment is split by Flagger, or by a canary Ingress, whose weight is patched.
_WEIGHTS = (*_read(kinds.CANARY, kinds.INGRESS, kinds.SERVICE), Grant(kind=kinds.INGRESS, verbs=("patch",)))

#: What a verb needs, by kind of workload. A kind that is missing is not supported by the verb.
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

#: The actions on nodes, and the rights that they need.
ON_NODES: Mapping[str, tuple[ResourceAccess, ...]] = dict.fromkeys(
    ("cordon", "uncordon"),
    (
        *(ResourceAccess(verb=verb, group="", resource="nodes") for verb in ("get", "list", "patch")),
        ResourceAccess(verb="list", group="", resource="pods"),
    ),
)


def grants_for(verb: str, workload: ObjectRef) -> tuple[ResourceAccess, ...]:
    """All rights that this action needs on that workload; none if the verb does not support its kind."""
    kind = workload.kind
    own = _BY_VERB.get(verb, {}).get(kind)
    if own is None:
        return ()
    always = (
        _NAMESPACE,
        Grant(kind=kind, verbs=_READ_AND_WATCH),
        *_read(kinds.POD, kinds.EVENT, _REVISIONS[kind]),
        *_OWNERS,
    )
    return tuple(dict.fromkeys(access for one in (*always, *own) for access in _accesses(one, workload)))


def helm_grants(workload: ObjectRef) -> tuple[ResourceAccess, ...]:
    """The known further rights of Helm's program: on all Secrets of the namespace, as RBAC cannot tell Helm's apart."""
    grant = Grant(kind=kinds.SECRET, verbs=("get", "list", "create", "update", "delete"))
    return tuple(_accesses(grant, workload))


def keep_replicas_grants(workload: ObjectRef) -> tuple[ResourceAccess, ...]:
    """The rights to keep the replicas through a rollback: to look for an autoscaler, and to set the count again."""
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


def role_documents(wanted: Iterable[ResourceAccess], user: str, name: str = "") -> list[Document]:
    """A Role and its binding for each namespace, and a ClusterRole and its binding for the rest. `user`: the bot's.

    `name`: their name; by default one made from the user's.
    """
    by_namespace: dict[str, set[ResourceAccess]] = defaultdict(set)
    for one in wanted:
        by_namespace[one.namespace].add(one)
    called = name or name_of(user)
    return [made for where in sorted(by_namespace) for made in _pair(where, by_namespace[where], user, called)]


def name_of(user: str) -> str:
    """The name of that account's Roles and bindings: valid for DNS and every kind, and unique to the account.

    Its words are for people; the digest behind them tells "a-b" of "c" from "b-c" of "a". A role of AWS is another user
    in each session, and still one account.
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
    """Groups the verbs of one object, then resources with the same verbs."""
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
