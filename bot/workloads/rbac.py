"""What each action has to be granted in a cluster: reads and writes, by its verb and the kind of workload.

`vakhta check --cluster` asks for these and prints them as a Role. They are enough: tests run each action with nothing
else granted. What an action writes to the workload itself is granted for that one object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
