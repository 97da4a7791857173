"""The JSON patch of a scale: a few values of one object, with tests of the values that were read. Pure.

The values have the names under which plans store them: "replicas", "floor", "ceiling", "paused".
The trap: a JSON patch cannot test that a value is absent, so a patch that adds one tests the resource version instead.
A Scale is tested as a whole: its count is left out when it is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.kubernetes import KubernetesObject, ObjectRef, ResourceKind
from bot.core.site import ServiceTarget
from bot.workloads.objects import kinds, run_markers
from bot.workloads.scale.autoscalers import KEDA_CEILING, KEDA_FLOOR, PAUSED_AT

#: Stands for a missing annotation. Stored in plans.
ABSENT = "no"
_NOTES = ("metadata", "annotations")


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchValue:
    """One value of an object. `default`: the effective value if it is absent."""

    name: str
    path: tuple[str, ...]
    default: str

    @property
    def pointer(self) -> str:
        return "".join(f"/{run_markers.escaped_pointer(part)}" for part in self.path)

    @property
    def is_annotation(self) -> bool:
        """Whether it is an annotation: a text that may be absent."""
        return self.path[:2] == _NOTES

    def raw(self, thing: KubernetesObject) -> Any:
        found: Any = thing
        for part in self.path:
            found = (found or {}).get(part)
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalePatch:
    """Which object is patched to scale a workload. `kind` None: the workload itself, through its subresource `sub`."""

    kind_name: str
    values: tuple[PatchValue, ...]
    kind: ResourceKind | None = None
    sub: str = ""

    def ref(self, target: ServiceTarget, name: str) -> ObjectRef:
        if self.kind is None:
            return target.workload
        return ObjectRef(kind=self.kind, namespace=target.workload.namespace, name=name)

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """The paths of its values on the object itself; a Scale has them at the same paths."""
        return tuple(one.path for one in self.values)

    def read(self, thing: KubernetesObject) -> dict[str, str]:
        """The current values, from the object or from its Scale."""
        return {one.name: _text(one, one.raw(thing)) for one in self.values}

    def operations(self, thing: KubernetesObject, after: Mapping[str, str], run: str) -> list[dict[str, object]]:
        """The patch of the object just read, to these values; it fails if the object has changed since."""
        uid = {"op": "test", "path": "/metadata/uid", "value": thing["metadata"]["uid"]}
        if self.sub == "scale":
            spec = {"op": "test", "path": "/spec", "value": thing.get("spec", {})}
            return [uid, spec, {"op": "add", "path": "/spec/replicas", "value": int(after["replicas"])}]
        tests: list[dict[str, object]] = [uid]
        changes: list[dict[str, object]] = []
        notes: dict[str, str | None] = dict(run_markers.annotation(run)) if run else {}
        for one in self.values:
            raw, new = one.raw(thing), after[one.name]
            if raw is not None:
                tests.append({"op": "test", "path": one.pointer, "value": raw})
            if _text(one, raw) == new:
                continue
            if one.is_annotation:
                notes[one.path[-1]] = None if new == ABSENT else new
            else:
                changes.append({"op": "add", "path": one.pointer, "value": int(new)})
        if any(one.raw(thing) is None for one in self.values) or not thing["metadata"].get("annotations"):
            version = thing["metadata"]["resourceVersion"]
            tests.append({"op": "test", "path": "/metadata/resourceVersion", "value": version})
        return [*tests, *changes, *(run_markers.annotation_patch(thing, notes) if notes else ())]


def _text(value: PatchValue, raw: object) -> str:
    return value.default if raw is None else str(raw)


WORKLOAD = ScalePatch(
    kind_name="workload",
    sub="scale",
    values=(PatchValue(name="replicas", path=("spec", "replicas"), default="0"),),
)
HPA = ScalePatch(
    kind_name="autoscaler",
    kind=kinds.HPA,
    values=(
        PatchValue(name="floor", path=("spec", "minReplicas"), default="1"),
        PatchValue(name="ceiling", path=("spec", "maxReplicas"), default="0"),
    ),
)
KEDA = ScalePatch(
    kind_name="keda",
    kind=kinds.SCALED,
    values=(
        PatchValue(name="floor", path=("spec", "minReplicaCount"), default=str(KEDA_FLOOR)),
        PatchValue(name="ceiling", path=("spec", "maxReplicaCount"), default=str(KEDA_CEILING)),
        PatchValue(name="paused", path=(*_NOTES, PAUSED_AT), default=ABSENT),
    ),
)
PATCHES: Mapping[str, ScalePatch] = {one.kind_name: one for one in (WORKLOAD, HPA, KEDA)}
