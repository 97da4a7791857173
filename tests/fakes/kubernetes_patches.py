"""How a Kubernetes API server applies the three kinds of patch: pure, on plain JSON.

JSON merge patch is RFC 7386 and JSON patch RFC 6902 to the letter, but for what Kubernetes' own library lets pass in an
object: a `test` of what is missing against null, and a `replace` of it. Strategic merge knows the lists of pods and
their templates that are merged by a key; any other list is replaced, as it is for a list without `patchMergeKey`.
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""

from __future__ import annotations

import copy
from typing import Any

#: By the list's field name; the same name means the same key wherever it stands in a workload.
_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "conditions": "type",
    "ownerReferences": "uid",
    "imagePullSecrets": "name",
}


class Unfit(Exception):
    """The patch cannot be applied: 422 where it does not fit the object, 400 where it is no patch at all."""

    def __init__(self, said: str, *, status: int = 422) -> None:
        super().__init__(said)
        self.said = said
        self.status = status


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: null takes away, an object is merged, anything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def strategic(target: Any, patch: Any, field: str = "") -> Any:
    """As `merge`, but lists with a merge key are merged by it, and `$patch` says replace or delete."""
    if isinstance(patch, list):
        return _merged_list(target if isinstance(target, list) else [], patch, field)
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    directive = patch.get("$patch")
    if directive == "replace":
        return {name: copy.deepcopy(value) for name, value in patch.items() if name != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise Unfit(f"Unknown patch type: {directive}", status=400)
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = strategic(merged.get(name), value, name)
    return _directed(merged, patch)


def _directed(merged: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """What clients that compute a patch add to it: the order of lists, and which fields of a union stay."""
    kept = patch.get("$retainKeys")
    if kept is not None:
        merged = {name: value for name, value in merged.items() if name in kept}
    for name, order in patch.items():
        field = name.removeprefix("$setElementOrder/")
        key = _MERGE_KEYS.get(field)
        if name != field and key is not None and field in merged:
            merged[field] = _in_order(merged[field], [one[key] for one in order], key)
    return merged


def _in_order(found: list[Any], order: list[Any], key: str) -> list[Any]:
    return sorted(found, key=lambda one: order.index(one[key]) if one[key] in order else len(order))


def _merged_list(target: list[Any], patch: list[Any], field: str) -> list[Any]:
    key = _MERGE_KEYS.get(field)
    if key is None or not all(isinstance(one, dict) for one in patch):
        return copy.deepcopy(patch)
    if any(one == {"$patch": "replace"} for one in patch):
        return [copy.deepcopy(one) for one in patch if one != {"$patch": "replace"}]
    merged = copy.deepcopy(target)
    for one in patch:
        if key not in one:
            raise Unfit(f"map: {one} does not contain declared merge key: {key}", status=400)
        at = next((index for index, held in enumerate(merged) if held.get(key) == one[key]), None)
        if one.get("$patch") == "delete":
            merged = [held for held in merged if held.get(key) != one[key]]
        elif at is None:
            merged.append({name: copy.deepcopy(value) for name, value in one.items() if name != "$patch"})
        else:
            merged[at] = strategic(merged[at], one)
    return merged


def steps(target: Any, patch: Any) -> Any:
    """RFC 6902. All of it or nothing; a `test` that fails is 422."""
    if not isinstance(patch, list) or not all(isinstance(one, dict) for one in patch):
        raise Unfit("a JSON patch is a list of operations", status=400)
    patched = copy.deepcopy(target)
    for one in patch:
        patched = _step(patched, one)
    return patched


def _step(target: Any, step: dict[str, Any]) -> Any:
    match step.get("op"):
        case "test":
            if not _is(target, _path(step), step.get("value")):
                raise Unfit(f"testing value {step['path']} failed")
            return target
        case "add":
            return _put(target, _path(step), step.get("value"), new=True)
        case "replace":
            return _put(target, _path(step), step.get("value"), new=False)
        case "remove":
            return _gone(target, _path(step))
        case "copy":
            return _put(target, _path(step), copy.deepcopy(_at(target, _path(step, "from"))), new=True)
        case "move":
            moved = _at(target, _path(step, "from"))
            return _put(_gone(target, _path(step, "from")), _path(step), moved, new=True)
        case other:
            raise Unfit(f"Unexpected kind: {other}")


def _path(step: dict[str, Any], name: str = "path") -> list[str]:
    pointer = step.get(name)
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise Unfit(f"{name} is not a JSON pointer", status=400)
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _at(target: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(target, dict) and part in target:
            target = target[part]
        elif isinstance(target, list) and part.isdigit() and int(part) < len(target):
            target = target[int(part)]
        else:
            raise Unfit(f"missing path /{'/'.join(path)}")
    return target


def _is(target: Any, path: list[str], value: Any) -> bool:
    """As Kubernetes' own library has it, what is missing is null."""
    place = _at(target, path[:-1])
    if isinstance(place, dict) and path and path[-1] not in place:
        return value is None
    return bool(_at(target, path) == value)


def _put(target: Any, path: list[str], value: Any, *, new: bool) -> Any:
    if not path:
        return copy.deepcopy(value)
    place, last = _at(target, path[:-1]), path[-1]
    if isinstance(place, dict):
        place[last] = copy.deepcopy(value)
    elif isinstance(place, list):
        at = len(place) if last == "-" else int(last)
        place[at : at if new else at + 1] = [copy.deepcopy(value)]
    else:
        raise Unfit(f"missing path /{'/'.join(path)}")
    return target


def _gone(target: Any, path: list[str]) -> Any:
    _at(target, path)
    place = _at(target, path[:-1])
    if isinstance(place, dict):
        del place[path[-1]]
    else:
        del place[int(path[-1])]
    return target
