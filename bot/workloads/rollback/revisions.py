"""The revisions of a workload that its cluster still keeps, and which of them a wish means.

A revision that is gone back to gets the highest number, so that the one before it is then the one that somebody left:
going back twice comes back. Its hash stays, and everything that has to find it again goes by that.
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
#: On pods of StatefulSets it holds the revision's name, on those of DaemonSets its hash.
REVISION_LABEL = "controller-revision-hash"
_STATEFUL_HASH = "controller.kubernetes.io/hash"


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """One template that the workload has had, or has."""

    number: int
    hash: str
    name: str  #: of the object that keeps it
    uid: str
    change_cause: tuple[str, str]  #: the label that its pods carry
    template: KubernetesObject  #: without what its controller has added
    kept: KubernetesObject  #: the object that keeps it

    @property
    def pods(self) -> str:
        """The label selector of its pods."""
        return "=".join(self.change_cause)

    @property
    def others(self) -> str:
        """That of all pods that are not of it."""
        return "!=".join(self.change_cause)

    @property
    def made_at(self) -> str:
        """When its template came up for the first time, whatever number it has had since."""
        return str(self.kept["metadata"]["creationTimestamp"])

    def __str__(self) -> str:
        return f"revision {self.number} ({self.hash})"


@dataclass(frozen=True, kw_only=True, slots=True)
class RevisionChoice:
    """From where to where."""

    now: Revision | None  #: None: what it asks for now has not come into being
    goal: Revision
    passed: tuple[Revision, ...] = ()  #: newer than the goal, and they run the same as what runs now


def replicasets(
    cluster: Cluster, thing: KubernetesObject, *, number: str = _NUMBER, label: str = HASH
) -> tuple[Revision, ...]:
    """Of a Deployment, newest first. `number` and `label`: under which names its controller keeps them."""
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
                change_cause=(label, key),
                template=pod_template.bare(one["spec"]["template"], label),
                kept=one,
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.number, one.name)))


def controller_revisions(cluster: Cluster, thing: KubernetesObject) -> tuple[Revision, ...]:
    """Of a StatefulSet or DaemonSet, newest first."""
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
                change_cause=(REVISION_LABEL, meta["name"] if stateful else key),
                template=pod_template.bare(one["data"]["spec"]["template"]),
                kept=one,
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.number, one.name)))


def current(revisions: Sequence[Revision], thing: KubernetesObject) -> Revision | None:
    """That of the workload's own template; None where its controller has not made one yet.

    What an older version of Kubernetes has kept may lack fields that it has now; the newest is it all the same, once
    the controller has seen the template.
    """
    wanted = pod_template.bare(thing["spec"]["template"])
    found = next((one for one in revisions if one.template == wanted), None)
    seen, generation = (thing.get("status") or {}).get("observedGeneration"), thing["metadata"].get("generation")
    if found is None and revisions and str(seen) == str(generation):
        return revisions[0]
    return found


def choose(
    revisions: Sequence[Revision], now: Revision | None, template: KubernetesObject, wish: str
) -> RevisionChoice:
    """What `wish` means: a hash, a name or a number; "": the newest older one that runs something else.

    Raises:
        Rejected: there is none, or it is there already.
    """
    if wish:
        goal = _named(revisions, wish)
        if now is not None and goal.uid == now.uid:
            raise Rejected(f"It is already at {goal}. Nothing was done.", code="already_there", status=409)
        return RevisionChoice(now=now, goal=goal)
    older = [one for one in revisions if now is None or one.number < now.number]
    if not older:
        message = "There is no older revision to go back to. Nothing was done. Roll forward, or deploy the older one."
        raise Rejected(message, code="no_history", status=409)
    passed = tuple(takewhile(lambda one: pod_template.runs_alike(one.template, template), older))
    if len(passed) == len(older):
        message = "Every older revision that is kept runs the same images, commands and environment. Nothing was done."
        raise Rejected(
            f"{message} {listed(older)} Name one to go back to it all the same.", code="no_other", status=409
        )
    return RevisionChoice(now=now, goal=older[len(passed)], passed=passed)


def listed(revisions: Sequence[Revision]) -> str:
    """Which there are: a sentence."""
    return f"There are {', '.join(f'{one.number} ({one.hash})' for one in revisions)}."


def _named(revisions: Sequence[Revision], wish: str) -> Revision:
    """A hash goes before a number, should one ever be of digits alone."""
    for one in revisions:
        if wish in (one.hash, one.name):
            return one
    for one in revisions:
        if wish == str(one.number):
            return one
    kept = listed(revisions) if revisions else "None is kept."
    message = f"It has no revision {wish}. Nothing was done. {kept} Older ones go by its revisionHistoryLimit."
    raise Rejected(message, code="no_revision", status=404)


def _owned(cluster: Cluster, kind: ResourceKind, thing: KubernetesObject) -> list[KubernetesObject]:
    """Those of its selector that it controls; another workload's labels may fit it too."""
    found = cluster.find(kind, thing["metadata"]["namespace"], labels=selector_of(thing))
    return [one for one in found if _controlled(one, thing["metadata"]["uid"])]


def _controlled(one: KubernetesObject, uid: str) -> bool:
    owners = one["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner.get("uid") == uid for owner in owners)
