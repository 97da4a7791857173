"""Marks that a run leaves on the objects it writes, so that it can be found again: managed fields, and an annotation.

Every write has the run's own field manager, /scale and /status included; it stays until somebody else writes the same
field. Where the object itself is patched, the annotation is set too: it stays when a controller overwrites the field.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.core.kubernetes import KubernetesObject

ANNOTATION = "vakhta.dev/run"
_MANAGER = "vakhta-"
#: The field manager of Helm's program, whatever its file is called.
HELM = "helm"
SHOWN = 8  #: digits of a run's id that people see
_HPA = "the HorizontalPodAutoscaler"
_KNOWN = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "keda": "KEDA",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    HELM: "Helm",
}
_SCALERS = (_HPA, _KNOWN["keda"])


def field_manager(run: str) -> str:
    """The field manager of a run's writes; a dry run belongs to no run."""
    return f"{_MANAGER}{run or 'plan'}"


def annotation(run: str) -> dict[str, str]:
    """To be merged into `metadata.annotations` of an object that is patched as a whole."""
    return {ANNOTATION: run}


def annotation_patch(thing: KubernetesObject, notes: Mapping[str, str | None]) -> list[dict[str, object]]:
    """Operations of a JSON patch that set these annotations; None removes one."""
    held = (thing.get("metadata") or {}).get("annotations") or {}
    steps: list[dict[str, object]] = [] if held else [{"op": "add", "path": "/metadata/annotations", "value": {}}]
    for name, value in notes.items():
        path = f"/metadata/annotations/{escaped_pointer(name)}"
        if value is not None:
            steps.append({"op": "add", "path": path, "value": value})
        elif name in held:
            steps.append({"op": "remove", "path": path})
    return steps


def escaped_pointer(name: str) -> str:
    """A name as one part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def written_by(thing: KubernetesObject, run: str) -> bool:
    """Whether a field that the run wrote is still its own, or its annotation is there. False proves nothing."""
    meta = thing.get("metadata") or {}
    if (meta.get("annotations") or {}).get(ANNOTATION) == run:
        return True
    return any(entry.get("manager") == field_manager(run) for entry in meta.get("managedFields") or ())


def manager_name(manager: str, sub: str = "") -> str:
    """A field manager as people know it. `sub`: the subresource through which it wrote."""
    if (manager, sub) == ("kube-controller-manager", "scale"):
        return _HPA
    if manager.startswith(_MANAGER):
        return f"this bot's run {manager.removeprefix(_MANAGER)[:SHOWN]}"
    return _KNOWN.get(manager, manager)


def run_of(manager: str) -> str:
    """The run of this bot behind that field manager; "" for all others."""
    return manager.removeprefix(_MANAGER) if manager.startswith(_MANAGER) else ""


def is_autoscaled(thing: KubernetesObject) -> bool:
    """Whether an autoscaler wrote its replicas last."""
    return owner_of_field(thing, "spec", "replicas") in _SCALERS


def holders_of(thing: KubernetesObject, *path: str) -> tuple[str, ...]:
    """All managers that own the field; a manager that applies the same value owns it too."""
    entries = (thing.get("metadata") or {}).get("managedFields") or ()
    return tuple(str(one.get("manager", "")) for one in entries if _holds(one.get("fieldsV1") or {}, path))


def appliers_of(thing: KubernetesObject, *path: str) -> tuple[str, ...]:
    """Managers that own the field by server-side apply: they meet a conflict if somebody else owns it."""
    entries = (thing.get("metadata") or {}).get("managedFields") or ()
    applied = (one for one in entries if one.get("operation") == "Apply" and _holds(one.get("fieldsV1") or {}, path))
    return tuple(str(one.get("manager", "")) for one in applied)


def applies(thing: KubernetesObject, manager: str) -> bool:
    """Whether that manager owns any field by server-side apply, so that it may meet a conflict over the others."""
    entries = (thing.get("metadata") or {}).get("managedFields") or ()
    return any((one.get("operation"), one.get("manager")) == ("Apply", manager) for one in entries)


def owner_of_field(thing: KubernetesObject, *path: str) -> str:
    """The manager that wrote the field last, by the name that people know; "" if nobody owns it."""
    for entry in _newest_first(thing):
        if _holds(entry.get("fieldsV1") or {}, path):
            return _known(entry)
    return ""


def owner_name_of_field(thing: KubernetesObject, *path: str) -> str:
    """As `owner_of_field`, for a sentence that needs a name."""
    return manager_name(owner_of_field(thing, *path)) or "an unknown writer"


def _newest_first(thing: KubernetesObject) -> Iterator[Mapping[str, Any]]:
    entries = (thing.get("metadata") or {}).get("managedFields") or ()
    yield from sorted(entries, key=lambda entry: str(entry.get("time", "")), reverse=True)


def _holds(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    for part in path:
        if f"f:{part}" not in fields:
            return False
        fields = fields[f"f:{part}"]
    return True


def _known(entry: Mapping[str, Any]) -> str:
    name, sub = str(entry.get("manager", "")), str(entry.get("subresource", ""))
    return name if run_of(name) else manager_name(name, sub)
