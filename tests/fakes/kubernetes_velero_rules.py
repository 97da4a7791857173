"""Velero's resource modifiers, as internal/resourcemodifiers of 1.18 reads them: strict, globs with dots, old names."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import Any

import yaml

from tests.fakes import kubernetes_patches as patches
from tests.fakes.kubernetes_kinds import resource_of
from tests.fakes.kubernetes_store import Thing, copied

_RULE = {"conditions", "patches", "mergePatches", "strategicPatches"}
_CONDITIONS = {"namespaces", "groupResource", "resourceNameRegex", "labelSelector", "matches"}


def changed_by(text: str, thing: Thing) -> Thing:
    """A copy of it with every rule that fits applied. AssertionError for rules that Velero would not take."""
    told = yaml.safe_load(text)
    assert told.keys() == {"version", "resourceModifierRules"}
    assert told["version"] == "v1"
    made = copied(thing)
    for rule in told["resourceModifierRules"]:
        assert rule.keys() <= _RULE
        assert rule["conditions"].keys() <= _CONDITIONS
        if _fits(rule["conditions"], thing):
            for patch in rule["mergePatches"]:
                made = patches.merge(made, yaml.safe_load(patch["patchData"]))
    return made


def _fits(conditions: dict[str, Any], thing: Thing) -> bool:
    namespace = thing["metadata"].get("namespace")
    if namespace and namespace not in conditions.get("namespaces", [namespace]):
        return False
    kind = conditions["groupResource"]
    # A star stops at a dot; two do not.
    pattern = ".*" if kind == "**" else translate(kind).replace(".*", "[^.]*")
    if not re.fullmatch(pattern, resource_of(thing).qualified):
        return False
    return all(_at(thing, one["path"]) == one["value"] for one in conditions.get("matches") or ())


def _at(thing: Any, path: str) -> object:
    for part in path.strip("/").split("/"):
        thing = (thing or {}).get(part)
    return thing
