"""Server-side apply in the fake Kubernetes: an object said in part, and merged by who owns which field. Pure.

As the real server's structured merge: what the manager said before, does not say now, and nobody else owns, goes away;
a field of somebody else's that would get another value is a conflict (409), unless it is forced, and is taken then.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts
"""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.kubernetes_fields import Path, Thing, Write, entry_of, key_of, keys_of, leaves, paths, spelled, tree

MEDIA_TYPE = "application/apply-patch+yaml"


class Conflict(Exception):
    """`causes`: as in the Status that is answered."""

    def __init__(self, said: str, causes: list[Thing]) -> None:
        super().__init__(said)
        self.said, self.causes = said, causes


def applied(old: Thing, said: Thing, write: Write, *, force: bool) -> tuple[Thing, list[Thing]]:
    """The object as it is then, without defaults, and its entries. `old` is empty where there is none yet.

    Raises:
        Conflict: a field that would change is somebody else's.
    """
    said = _without_nulls(said)
    held = list((old.get("metadata") or {}).get("managedFields") or ())
    mine = next((set(paths(one["fieldsV1"])) for one in held if write.is_of(one)), set())
    others = [one for one in held if not write.is_of(one)]
    theirs = [(one, set(paths(one["fieldsV1"]))) for one in others]
    wanted = set(leaves(said))
    new = _merged(old, said)
    for path in sorted(mine - wanted, key=len, reverse=True):
        if not any(path in owned or _within(path, owned) for _, owned in theirs):
            _remove(new, path)
    before, after = leaves(old), leaves(new)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    lost = [(entry, owned & changed) for entry, owned in theirs if owned & changed]
    if lost and not force:
        raise _conflict(lost)
    entries = []
    for entry, owned in theirs:
        left = {path for path in owned if path in after and path not in changed}
        if left:
            entries.append(entry if left == owned else {**entry, "fieldsV1": tree(left)})
    since = next((one.get("time", "") for one in held if write.is_of(one)), "")
    at = since if mine == wanted and before == after else write.at
    return new, [*entries, entry_of(write, wanted, at)]


def _conflict(lost: list[tuple[Thing, set[Path]]]) -> Conflict:
    each = [(_named(entry), spelled(path)) for entry, taken in lost for path in sorted(taken)]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field} for who, field in each
    ]
    if len(each) == 1:
        return Conflict(f"Apply failed with 1 conflict: conflict with {each[0][0]}: {each[0][1]}", causes)
    lines = [
        line
        for who in sorted({who for who, _ in each})
        for line in (f"conflicts with {who}:", *(f"- {field}" for whose, field in each if whose == who))
    ]
    return Conflict(f"Apply failed with {len(each)} conflicts: " + "\n".join(lines), causes)


def _named(entry: Thing) -> str:
    said = json.dumps(entry["manager"])
    if entry.get("subresource"):
        said += f" with subresource {json.dumps(entry['subresource'])}"
    return f"{said} using {entry['apiVersion']}" if entry["operation"] == "Update" else said


def _without_nulls(said: Any) -> Any:
    if isinstance(said, dict):
        return {name: _without_nulls(value) for name, value in said.items() if value is not None}
    return [_without_nulls(one) for one in said] if isinstance(said, list) else said


def _merged(live: Any, said: Any, field: str = "") -> Any:
    if isinstance(said, dict):
        held = live if isinstance(live, dict) else {}
        return {**_copied(held), **{name: _merged(held.get(name), value, name) for name, value in said.items()}}
    keys = keys_of(field, said)
    if not keys:
        return _copied(said)
    held = live if keys_of(field, live) else []
    known = {key_of(one, keys): one for one in said}
    kept = [_merged(one, known.pop(key_of(one, keys), {})) for one in held]
    return [*kept, *(_copied(one) for one in known.values())]


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _within(path: Path, owned: set[Path]) -> bool:
    """Whether somebody owns something in the item that is to go."""
    return path[-1] == "." and any(one[: len(path) - 1] == path[:-1] for one in owned)


def _remove(thing: Any, path: Path) -> None:
    *way, last = path
    if last == ".":
        *way, last = way
    place = thing
    for part in way:
        place = _step(place, part)
        if place is None:
            return
    if last.startswith("f:"):
        place.pop(last[2:], None)
        return
    found = _step(place, last)
    if found is not None:
        place.remove(found)


def _step(place: Any, part: str) -> Any:
    if part.startswith("f:"):
        return place.get(part[2:]) if isinstance(place, dict) else None
    if part.startswith("v:"):
        value = json.loads(part[2:])
        return value if value in place else None
    key = json.loads(part[2:])
    return next((one for one in place if key_of(one, tuple(key)) == part), None)
