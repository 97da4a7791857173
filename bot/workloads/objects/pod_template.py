"""Compares pod templates: whether two run the same, how they differ, which ConfigMaps and Secrets they need. Pure.

A restart leaves a template that differs by an annotation and runs the same, so the newest older revision is often not
the one to roll back to. Environment values may be secrets: they are compared, never shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.core.kubernetes import KubernetesObject, ResourceKind
from bot.workloads.objects import kinds

#: The fields that decide what a container does.
_RUNS = ("image", "command", "args", "env", "envFrom")
_CALLED = {"command": "command", "args": "arguments", "envFrom": "sources of its environment"}
_LISTS = ("initContainers", "containers")


def bare(template: KubernetesObject, *labels: str) -> KubernetesObject:
    """The template without these labels (controllers add them to tell pods apart), and without null values."""
    made: dict[str, Any] = _without_nulls(template)
    meta = dict(made.get("metadata") or {})
    kept = {name: value for name, value in (meta.get("labels") or {}).items() if name not in labels}
    meta.pop("labels", None)
    made["metadata"] = meta | ({"labels": kept} if kept else {})
    return made


def runs_alike(one: KubernetesObject, other: KubernetesObject) -> bool:
    """Whether containers of both have the same images, commands and environments."""
    return _running(one) == _running(other)


def differences(before: KubernetesObject, after: KubernetesObject) -> tuple[str, ...]:
    """What a change from one to the other does to its containers, a line each; empty where they run the same."""
    old, new = _containers(before), _containers(after)
    lines: list[str] = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new:
            lines.append(f"container {name}: removed ({old[name].get('image')})")
        elif name not in old:
            lines.append(f"container {name}: added with {new[name].get('image')}")
        else:
            lines += [f"container {name}: {message}" for message in _changes(old[name], new[name])]
    return tuple(lines)


def needs(template: KubernetesObject) -> frozenset[tuple[ResourceKind, str]]:
    """The ConfigMaps and Secrets without which its pods do not start."""
    spec = template.get("spec") or {}
    return frozenset([*_of_volumes(spec), *_of_environments(spec)])


def _changes(old: KubernetesObject, new: KubernetesObject) -> Iterator[str]:
    if old.get("image") != new.get("image"):
        yield f"{old.get('image')} -> {new.get('image')}"
    before, after = _environment(old), _environment(new)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        yield f"environment changes: {', '.join(changed)}"
    for field, called in _CALLED.items():
        if old.get(field) != new.get(field):
            yield f"{called} change{'s' if field == 'command' else ''}"


def _running(template: KubernetesObject) -> Mapping[str, object]:
    return {
        name: {field: one.get(field) or None for field in _RUNS} for name, one in sorted(_containers(template).items())
    }


def _containers(template: KubernetesObject) -> dict[str, KubernetesObject]:
    spec = template.get("spec") or {}
    return {one["name"]: one for field in _LISTS for one in spec.get(field) or ()}


def _environment(container: KubernetesObject) -> dict[str, KubernetesObject]:
    return {one["name"]: one for one in container.get("env") or ()}


def _of_volumes(spec: KubernetesObject) -> Iterator[tuple[ResourceKind, str]]:
    for volume in spec.get("volumes") or ():
        sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for source in sources:
            config, secret = source.get("configMap"), source.get("secret")
            if config and not config.get("optional"):
                yield kinds.CONFIG, config["name"]
            if secret and not secret.get("optional"):
                yield kinds.SECRET, secret.get("secretName") or secret["name"]


def _of_environments(spec: KubernetesObject) -> Iterator[tuple[ResourceKind, str]]:
    for container in [one for field in _LISTS for one in spec.get(field) or ()]:
        values = [one.get("valueFrom") or {} for one in container.get("env") or ()]
        keyed = [(value.get("configMapKeyRef"), value.get("secretKeyRef")) for value in values]
        whole = [(one.get("configMapRef"), one.get("secretRef")) for one in container.get("envFrom") or ()]
        for config, secret in [*keyed, *whole]:
            if config and not config.get("optional"):
                yield kinds.CONFIG, config["name"]
            if secret and not secret.get("optional"):
                yield kinds.SECRET, secret["name"]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None and name != "$patch"}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value
