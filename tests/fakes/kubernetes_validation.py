"""What the fake Kubernetes does not take: 422, with the field and the reason, as the real one's validation has them.

Of all its rules, those that an action can run into. Read in pkg/apis/*/validation of kubernetes/kubernetes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from tests.fakes.kubernetes_kinds import Resource
from tests.fakes.kubernetes_store import Refused, Thing

_STATEFUL = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def check(resource: Resource, thing: Thing, old: Thing | None = None) -> None:
    """Raises `Refused` for what is not valid, or may not be changed; `old`: as it is."""
    spec = thing.get("spec") or {}
    if old is not None and spec == (old.get("spec") or {}):
        return
    faults = list(_faults(resource, spec))
    if resource.custom and (spec.get("replicas") or 0) < 0:
        faults.append(f".spec.replicas: Invalid value: {spec['replicas']}: should be a non-negative integer")
    if old is not None:
        faults += _fixed(resource, spec, old["spec"])
    if faults:
        name = thing["metadata"].get("name", "")
        told = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        said = f'{resource.kind}.{resource.group} "{name}" is invalid: {told}'
        raise Refused(422, "Invalid", said, name=name, group=resource.group, kind=resource.kind)


def unlike(kind: str, thing: Thing) -> None:
    """Raises `Refused` for what cannot be read as an object of that kind; such a refusal names no object."""
    meta, spec = thing.get("metadata") or {}, thing.get("spec") or {}
    words = [*(meta.get("labels") or {}).values(), *(meta.get("annotations") or {}).values()]
    counts = [spec.get(name) for name in _COUNTS]
    read = thing.get("kind") in (None, kind) and all(isinstance(one, str) for one in words)
    if not read or not all(one is None or (isinstance(one, int) and not isinstance(one, bool)) for one in counts):
        said = json.dumps(thing)[:200]
        raise Refused(422, "Invalid", f'"" is invalid: patch: Invalid value: "{said}": it cannot be read as a {kind}')


_COUNTS = ("replicas", "minReplicas", "maxReplicas", "minReplicaCount", "maxReplicaCount", "revisionHistoryLimit")


def _faults(resource: Resource, spec: Thing) -> Iterator[str]:
    rules: dict[str, Callable[[Thing], Iterator[str]]] = {
        "Deployment": _deployment,
        "ReplicaSet": _workload,
        "StatefulSet": _workload,
        "DaemonSet": _workload,
        "HorizontalPodAutoscaler": _autoscaler,
        "ScaledObject": _scaled_object,
    }
    if resource.kind in rules:
        yield from rules[resource.kind](spec)


def _workload(spec: Thing) -> Iterator[str]:
    chosen = (spec.get("selector") or {}).get("matchLabels")
    template = spec.get("template") or {}
    if not chosen:
        yield "spec.selector: Required value"
    elif not chosen.items() <= (labels := (template.get("metadata") or {}).get("labels") or {}).items():
        given = json.dumps(labels, separators=(",", ":"))
        yield f"spec.template.metadata.labels: Invalid value: {given}: `selector` does not match template `labels`"
    if not (template.get("spec") or {}).get("containers"):
        yield "spec.template.spec.containers: Required value"
    if (spec.get("replicas") or 0) < 0:
        yield f"spec.replicas: Invalid value: {spec['replicas']}: must be greater than or equal to 0"


def _deployment(spec: Thing) -> Iterator[str]:
    yield from _workload(spec)
    deadline, least = spec.get("progressDeadlineSeconds", 600), spec.get("minReadySeconds") or 0
    if deadline <= least:
        yield f"spec.progressDeadlineSeconds: Invalid value: {deadline}: must be greater than minReadySeconds"
    strategy = spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate" and rolling is not None:
        yield "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"
    elif (
        rolling
        and str(rolling.get("maxSurge", 1)).strip("%") == str(rolling.get("maxUnavailable", 1)).strip("%") == "0"
    ):
        yield "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"


def _autoscaler(spec: Thing) -> Iterator[str]:
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        yield f"spec.minReplicas: Invalid value: {least}: must be greater than or equal to 1"
    if most < 1:
        yield f"spec.maxReplicas: Invalid value: {most}: must be greater than 0"
    if most < least:
        yield f"spec.maxReplicas: Invalid value: {most}: must be greater than or equal to `minReplicas`"


def _scaled_object(spec: Thing) -> Iterator[str]:
    """Its CRD has this as a rule in CEL."""
    least, most = spec.get("minReplicaCount") or 0, spec.get("maxReplicaCount") or 100
    if least > most:
        yield f"spec: Invalid value: MinReplicaCount={least} must be less than MaxReplicaCount={most}"


def _fixed(resource: Resource, spec: Thing, old: Thing) -> Iterator[str]:
    """What cannot be changed any more."""
    if resource.group != "apps" or resource.kind == "ControllerRevision":
        return
    if resource.kind == "StatefulSet":
        moved = {name for name in spec.keys() | old.keys() if spec.get(name) != old.get(name)} - set(_STATEFUL)
        if moved:
            named = ", ".join(f"'{one}'" for one in _STATEFUL[:-1]) + f" and '{_STATEFUL[-1]}'"
            yield f"spec: Forbidden: updates to statefulset spec for fields other than {named} are forbidden"
    elif spec.get("selector") != old.get("selector"):
        given = json.dumps(spec.get("selector"), separators=(",", ":"))
        yield f"spec.selector: Invalid value: {given}: field is immutable"
