"""The revisions of a workload that the cluster still has, and which of them a request means.

A revision that is rolled back to gets the highest number, so the one before it is then the one that was left: rolling
back twice returns to the start. The hash stays the same, so revisions are identified by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from bot.core.errors import Rejected
from bot.core.kubernetes import Cluster, KubernetesObject, ResourceKind
from bot.workloads.objects import kinds, pod_template
from bot.workloads.objects.pods import selector_of

HASH = "pod-template-hash"
_NUMBER = "deployment.kubernetes.io/revision"
#: On pods of StatefulSets it has the revision's name, on those of DaemonSets its hash.
REVISION_LABEL = "controller-revision-hash"
_STATEFUL_HASH = "controller.kubernetes.io/hash"


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """One template that the workload has, or had."""

    number: int
    hash: str
    name: str  #: of the object that keeps it
    uid: str
    label: tuple[str, str]  #: the label of its pods: name and value
    template: KubernetesObject  #: without the labels that its controller adds
    kept: KubernetesObject  #: the object that keeps it

    @property
    def pods(self) -> str:
        """The label selector of its pods."""
        return "=".join(self.label)

    @property
    def others(self) -> str:
        """The label selector of all pods of other revisions."""
        return "!=".join(self.label)

    @property
    def made_at(self) -> str:
        """When its template was first created, whatever its number is now."""
        return str(self.kept["metadata"]["creationTimestamp"])

    def __str__(self) -> str:
        return f"revision {self.number} ({self.hash})"


@dataclass(frozen=True, kw_only=True, slots=True)
class RevisionChoice:
    """The present revision and the chosen one."""

    now: Revision | None  #: None: the controller has created no revision of the present template
    goal: Revision
    passed: tuple[Revision, ...] = ()  #: skipped: newer than the goal, but the same as now


def replicasets(
    cluster: Cluster, thing: KubernetesObject, *, number: str = _NUMBER, label: str = HASH
) -> tuple[Revision, ...]:
    """The revisions of a Deployment, newest first. `number` and `label`: the names that its controller uses."""
    found = []
    for one in _owned(cluster, kinds.REPLICASET, thing):
        meta = one["metadata"]
        message = (meta.get("annotations") or {}).get(number, "")
        if not message.isdigit():
            continue
        key = (meta.get("labels") or {}).get(label, "")
        found.append(
            Revision(
                number=int(message),
                hash=key,
                name=meta["name"],
                uid=meta["uid"],
                label=(label, key),
                template=pod_template.bare(one["spec"]["template"], label),
                kept=one,
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.number, one.name)))


def controller_revisions(cluster: Cluster, thing: KubernetesObject) -> tuple[Revision, ...]:
    """The revisions of a StatefulSet or DaemonSet, newest first."""
    found = []
    for one in _owned(cluster, kinds.REVISION, thing):
        meta, labels = one["metadata"], one["metadata"].get("labels") or {}
        stateful = labels.get(_STATEFUL_HASH)
        key = stateful or labels.get(REVISION_LABEL) or meta["name"]
        found.append(
            Revision(
                number=int(one["revision"]),
                hash=key,
                name=meta["name"],
                uid=meta["uid"],
                label=(REVISION_LABEL, meta["name"] if stateful else key),
                template=pod_template.bare(one["data"]["spec"]["template"]),
                kept=one,
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.number, one.name)))


def current(revisions: Sequence[Revision], thing: KubernetesObject) -> Revision | None:
    """The revision of the workload's present template; None if its controller has not created one yet.

    A revision kept by an older version of Kubernetes may lack newer fields. Once the controller has seen the template,
    the newest revision is the present one all the same.
    """
    wanted = pod_template.bare(thing["spec"]["template"])
    found = next((one for one in revisions if one.template == wanted), None)
    seen, generation = (thing.get("status") or {}).get("observedGeneration"), thing["metadata"].get("generation")
    if found is None and revisions and str(seen) == str(generation):
        return revisions[0]
    return found


def choose(
    revisions: Sequence[Revision], now: Revision | None, template: KubernetesObject, wanted: str
) -> RevisionChoice:
    """The revision that `wanted` means: a hash, a name or a number; "": the newest older one that runs something else.

    Raises:
        Rejected: there is none, or it is the present one.
    """
    if wanted:
        goal = _named(revisions, wanted)
        if now is not None and goal.uid == now.uid:
            raise Rejected(f"It is already at {goal}. Nothing was done.", code="already_there", status=409)
        return RevisionChoice(now=now, goal=goal)
    older = [one for one in revisions if now is None or one.number < now.number]
    if not older:
        message = "There is no older revision to roll back to. Nothing was done. Deploy an older or a fixed version."
        raise Rejected(message, code="no_history", status=409)
    passed = tuple(takewhile(lambda one: pod_template.runs_alike(one.template, template), older))
    if len(passed) == len(older):
        message = "All older revisions run the same images, commands and environment. Nothing was done."
        raise Rejected(f"{message} {listed(older)} To roll back to one anyway, name it.", code="no_other", status=409)
    return RevisionChoice(now=now, goal=older[len(passed)], passed=passed)


def listed(revisions: Sequence[Revision]) -> str:
    """The revisions that there are, with their numbers and hashes."""
    return f"Revisions: {', '.join(f'{one.number} ({one.hash})' for one in revisions)}."


def _named(revisions: Sequence[Revision], wanted: str) -> Revision:
    """A hash takes precedence over a number, in case it has only digits."""
    for one in revisions:
        if wanted in (one.hash, one.name):
            return one
    for one in revisions:
        if wanted == str(one.number):
            return one
    kept = listed(revisions) if revisions else "Revisions: none."
    message = f"It has no revision {wanted}. Nothing was done. {kept} revisionHistoryLimit removes older ones."
    raise Rejected(message, code="no_revision", status=404)


def _owned(cluster: Cluster, kind: ResourceKind, thing: KubernetesObject) -> list[KubernetesObject]:
    """Those that it controls; the selector may match another workload's as well."""
    found = cluster.find(kind, thing["metadata"]["namespace"], labels=selector_of(thing))
    return [one for one in found if _controlled(one, thing["metadata"]["uid"])]


def _controlled(one: KubernetesObject, uid: str) -> bool:
    owners = one["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner.get("uid") == uid for owner in owners)
