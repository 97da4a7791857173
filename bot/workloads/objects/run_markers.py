"""What a run leaves on the objects that it writes, so that it can be found again: managed fields, and an annotation.

A field manager of the run's own is on every write, /scale and /status included, for as long as nobody else writes the
same field. Where the object itself is patched, the annotation is set too: it stays when a controller takes the field.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.core.kubernetes import KubernetesObject

ANNOTATION = "vakhta.dev/run"
_MANAGER = "vakhta-"
SHOWN = 8  #: digits of a run
_HPA = "the HorizontalPodAutoscaler"
_KNOWN = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "keda": "KEDA",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "helm": "Helm",
}
_SCALERS = (_HPA, _KNOWN["keda"])


def field_manager(run: str) -> str:
    """The field manager of a run's writes; for a dry run, of none."""
    return f"{_MANAGER}{run or 'plan'}"


def annotation(run: str) -> dict[str, str]:
    """To be merged into `metadata.annotations` of whatever is patched as a whole."""
    return {ANNOTATION: run}


def annotation_patch(thing: KubernetesObject, notes: Mapping[str, str | None]) -> list[dict[str, object]]:
    """Steps of a JSON patch that set these annotations; None takes one away."""
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
    """Whether what that run wrote still stands, or its annotation does. False proves nothing."""
    meta = thing.get("metadata") or {}
    if (meta.get("annotations") or {}).get(ANNOTATION) == run:
        return True
    return any(entry.get("manager") == field_manager(run) for entry in meta.get("managedFields") or ())


def manager_name(manager: str, sub: str = "") -> str:
    """A field manager in words for people; `sub`: through which subresource it wrote."""
    if (manager, sub) == ("kube-controller-manager", "scale"):
        return _HPA
    if manager.startswith(_MANAGER):
        return f"this bot's run {manager.removeprefix(_MANAGER)[:SHOWN]}"
    return _KNOWN.get(manager, manager)


def run_of(manager: str) -> str:
    """The run of the bot's that writes by that name; "" for anybody else's."""
    return manager.removeprefix(_MANAGER) if manager.startswith(_MANAGER) else ""


def is_autoscaled(thing: KubernetesObject) -> bool:
    """Whether an autoscaler has set its replicas last."""
    return owner_of_field(thing, "spec", "replicas") in _SCALERS


def holders_of(thing: KubernetesObject, *path: str) -> tuple[str, ...]:
    """All managers of that field; who applies the value that is there already holds it too."""
    entries = (thing.get("metadata") or {}).get("managedFields") or ()
    return tuple(str(one.get("manager", "")) for one in entries if _holds(one.get("fieldsV1") or {}, path))


def appliers_of(thing: KubernetesObject, *path: str) -> tuple[str, ...]:
    """Who keeps that field by server-side apply, and is told of a conflict where somebody else holds it."""
    entries = (thing.get("metadata") or {}).get("managedFields") or ()
    applied = (one for one in entries if one.get("operation") == "Apply" and _holds(one.get("fieldsV1") or {}, path))
    return tuple(str(one.get("manager", "")) for one in applied)


def applies(thing: KubernetesObject, manager: str) -> bool:
    """Whether that manager keeps any of it by server-side apply, so that it may meet a conflict over the rest."""
    entries = (thing.get("metadata") or {}).get("managedFields") or ()
    return any((one.get("operation"), one.get("manager")) == ("Apply", manager) for one in entries)


def owner_of_field(thing: KubernetesObject, *path: str) -> str:
    """Which manager wrote that field last, "HPA" and the like for controllers that people know; "" where nobody is."""
    for entry in _newest_first(thing):
        if _holds(entry.get("fieldsV1") or {}, path):
            return _known(entry)
    return ""


def owner_name_of_field(thing: KubernetesObject, *path: str) -> str:
    """As `owner_of_field`, for a sentence that has to name somebody."""
    return manager_name(owner_of_field(thing, *path)) or "somebody who left no name"


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
