"""Finds rules and freezes that name something which does not exist: a verb, a service.

Works on plain values, as `bot.config.consistency` does. The verbs are the files of the package `commands`, which is
found and not imported: importing all commands would take longer than the whole check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from importlib.util import find_spec
from pkgutil import iter_modules

from bot.access import policy
from bot.config.consistency import FoundFault, Tree, entries, section_of
from bot.config.faults import Loc, nearest
from bot.lib.text import glob_matcher

_WILD = frozenset("*?")


@cache
def known_verbs() -> frozenset[str]:
    """Every verb that can be typed."""
    package = find_spec("commands")
    folders = (package.submodule_search_locations if package else None) or ()
    return frozenset(found.name.replace("_", "-") for found in iter_modules(list(folders)))


def unknown_verbs(tree: Tree, verbs: Collection[str]) -> Iterator[FoundFault]:
    """Rules for a verb that no command has: they allow or deny nothing."""
    for loc, do in _rules(tree):
        try:
            verb, _ = policy.split_rule(do)
        except ValueError:
            continue  # The rule has a fault of its own.
        if not any(map(glob_matcher(verb), verbs)):
            yield loc, f"is a rule for a verb that does not exist; {_nearest_verb(verb, verbs)}"


def freezes_with_verbs(tree: Tree, verbs: Collection[str]) -> Iterator[FoundFault]:
    """Freezes whose targets are written like a rule, "scale prod/*": no target has a space."""
    for loc, target in _frozen(tree):
        first, *rest = target.split()
        if rest:
            also = ", and a freeze is for every action" if first in verbs else ""
            yield loc, f"must be a glob for targets alone, such as prod/*{also}; write one target in each entry"


def unknown_services(tree: Tree) -> Iterator[FoundFault]:
    """Warnings: a rule or freeze names one service in full that is not under `services`.

    A glob may be for services to come. Nodes are known by the cluster alone.
    """
    services = {str(one["name"]) for _, one in entries(tree, "services") if isinstance(one.get("name"), str)}
    clusters = tuple(f"{name}/" for name in section_of(tree, "clusters"))
    if not services:
        return
    for loc, target in [*_targets_of_rules(tree), *_services_of_conditions(tree), *_frozen(tree)]:
        known = target in services or target.startswith((policy.INCIDENT_PREFIX, *clusters))
        if target and not known and " " not in target and not _WILD & set(target):
            yield loc, f"names a service that is not under `services`; {nearest(target, services)}"


def _nearest_verb(verb: str, verbs: Collection[str]) -> str:
    hint = nearest(verb.strip("*?"), verbs)
    return hint if hint.startswith("did you mean") else "the command `help` lists them all"


def _targets_of_rules(tree: Tree) -> Iterator[tuple[Loc, str]]:
    for loc, do in _rules(tree):
        if len(words := do.split()) > 1:
            yield loc, words[1]


def _services_of_conditions(tree: Tree) -> Iterator[tuple[Loc, str]]:
    for name in section_of(tree, "roles"):
        role = section_of(section_of(tree, "roles"), name)
        for kind in ("allow", "deny"):
            for loc, rule in entries(role, kind):
                named = section_of(rule, "when").get("service")
                for number, one in enumerate([named] if isinstance(named, str) else named or ()):
                    if isinstance(one, str):
                        yield ("roles", name, *loc, "when", "service", number), one


def _rules(tree: Tree) -> Iterator[tuple[Loc, str]]:
    """Every rule's text, with its place."""
    for name, role in section_of(tree, "roles").items():
        for kind in ("allow", "deny"):
            rules = role.get(kind) if isinstance(role, dict) else None
            for number, rule in enumerate(rules if isinstance(rules, list) else ()):
                loc: Loc = ("roles", name, kind, number)
                if isinstance(rule, str):
                    yield loc, rule
                elif isinstance(rule, dict) and isinstance(do := rule.get("do"), str):
                    yield (*loc, "do"), do


def _frozen(tree: Tree) -> Iterator[tuple[Loc, str]]:
    for loc, freeze in entries(tree, "freezes"):
        targets = freeze.get("targets")
        for number, target in enumerate(targets if isinstance(targets, list) else ()):
            if isinstance(target, str) and target.strip():
                yield (*loc, "targets", number), target
