"""Finds settings that are valid one by one and wrong together: contradictions, unknown names, rules without effect.

Works on plain values, not on `Settings`, so that it also finds its faults in a file that has others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.access import policy
from bot.config.faults import Loc, Plain, nearest
from bot.config.rotas import ROTA
from bot.lib import time_windows
from bot.lib.settings_fields import ChannelSection, is_loopback
from bot.lib.text import glob_matcher

Tree = Mapping[str, Any]
FoundFault = tuple[Loc, str]  #: the place, and what is wrong there

#: Names that a timeline uses for the bot itself, besides those of sources and channels.
_NOT_PEOPLE = frozenset({"cli", "vakhta", "system"})
#: The verbs of approving a plan, and of using and reviewing break-glass.
_YES, _BREAK, _REVIEW = "yes", "break-glass", "review-glass"


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What the classes of the settings declare about the outside systems."""

    sources: Collection[str]  #: the names of all sources
    channels: Mapping[str, type[ChannelSection]]  #: the sections of all channels, by name
    account_keys: tuple[str, ...]  #: keys of a person that hold an account; each has the name of its channel
    group_keys: tuple[str, ...]  #: keys of a role that name groups of a platform


def contradictions(tree: Tree, declared: Declared) -> Iterator[FoundFault]:
    """Faults with which the bot must not start."""
    yield from _duplicates(tree, "people", ("id", *declared.account_keys))
    yield from _duplicates(tree, "services", ("name",))
    yield from _duplicates(tree, "freezes", ("name",))
    yield from _reserved_ids(tree, {*_NOT_PEOPLE, *declared.sources, *declared.channels})
    yield from _unknown_roles(tree)
    yield from _unknown_on_call(tree)
    yield from _unknown_contact(tree, declared.channels)
    yield from _freezes_that_end_before_they_begin(tree)
    yield from _conditions_that_never_hold(tree)
    yield from _too_few_approvers(tree, declared)
    yield from _break_glass_without_contact(tree)
    yield from _unknown_clusters(tree)
    yield from _shared_flagger_tokens(tree)
    yield from _missing_anchor_channel(tree)
    yield from _open_console(tree)
    yield from _missing_for_mode(tree, declared)


def unusable_rules(tree: Tree, declared: Declared) -> Iterator[FoundFault]:
    """Warnings: somebody may use break-glass, and nobody else may review it."""
    roles = section_of(tree, "roles")
    if _by_groups(tree, roles, declared):
        return  # Only the platform knows who is in a group.
    held = {str(person.get("id")): _roles_of(person) for _, person in entries(tree, "people")}
    reviewers = {one for one, mine in held.items() if any(_allows(tree, role, _REVIEW) for role in mine)}
    users = {one for one, mine in held.items() if any(_allows(tree, role, _BREAK) for role in mine)}
    alone = ", ".join(sorted(one for one in users if reviewers <= {one}))
    for name in roles:
        if alone and _role(tree, name).get("break_glass") is True:
            message = (
                f"{alone} could use break-glass once and never again: nobody else may review it;"
                " give another person role approver"
            )
            yield ("roles", name, "break_glass"), message
            return


def entries(tree: Tree, section: str) -> Iterator[tuple[Loc, Tree]]:
    """The entries of a list that are keys and values, each with its place."""
    listed = tree.get(section)
    for number, entry in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(entry, dict):
            yield (section, number), entry


def _duplicates(tree: Tree, section: str, keys: tuple[str, ...]) -> Iterator[FoundFault]:
    for key in keys:
        first: dict[str, Loc] = {}
        for loc, entry in entries(tree, section):
            value = entry.get(key)
            if value is None or isinstance(value, dict | list):
                continue
            if str(value) in first:
                other = f"{section}[{first[str(value)][1]}]"
                yield (*loc, key), f"is also the {key} of {other}; each {key} belongs to one entry"
            first.setdefault(str(value), loc)


def _reserved_ids(tree: Tree, reserved: set[str]) -> Iterator[FoundFault]:
    for loc, person in entries(tree, "people"):
        if str(person.get("id")) in reserved:
            yield (*loc, "id"), "is reserved for the bot, its sources and its channels; choose another id"


def _unknown_roles(tree: Tree) -> Iterator[FoundFault]:
    known = {*policy.BUILT_IN, *section_of(tree, "roles")}
    for section, key in (("people", "roles"), ("freezes", "except")):
        for loc, entry in entries(tree, section):
            for number, role in enumerate(_listed(entry, key)):
                if isinstance(role, str) and role not in known:
                    yield (*loc, key, number), f"is neither under `roles` nor built in; {nearest(role, known)}"


def _unknown_on_call(tree: Tree) -> Iterator[FoundFault]:
    people = _ids(tree)
    for loc, service in entries(tree, "services"):
        for number, person in enumerate(_listed(service, "on_call")):
            if isinstance(person, str) and not person.startswith(ROTA) and person not in people:
                yield (*loc, "on_call", number), f"is not the id of a person under `people`; {nearest(person, people)}"


def _unknown_contact(tree: Tree, channels: Collection[str]) -> Iterator[FoundFault]:
    contact = section_of(tree, "security").get("contact")
    known = _ids(tree) | {name for name in channels if name in section_of(tree, "channels")}
    if isinstance(contact, str) and contact not in known:
        message = f"is neither a person's id nor a channel that is set up; {nearest(contact, known)}"
        yield ("security", "contact"), message


def _freezes_that_end_before_they_begin(tree: Tree) -> Iterator[FoundFault]:
    for loc, freeze in entries(tree, "freezes"):
        since, until = freeze.get("from"), freeze.get("until")
        if not isinstance(since, str) or not isinstance(until, str):
            continue
        try:
            backwards = time_windows.parse_moment(until) <= time_windows.parse_moment(since)
        except ValueError:
            continue  # The value has a fault of its own.
        if backwards:
            yield (*loc, "until"), "is not after `from`, so this freeze never applies; correct one of them"


def _conditions_that_never_hold(tree: Tree) -> Iterator[FoundFault]:
    services = [service for _, service in entries(tree, "services")]
    environments = {str(one["environment"]) for one in services if one.get("environment")}
    for loc, rule in _rules(tree):
        when = section_of(rule, "when")
        for number, name in enumerate(_one_or_several(when, "environment")):
            if isinstance(name, str) and name not in environments:
                message = f"is not the environment of any service; {nearest(name, environments)}"
                yield (*loc, "when", "environment", number), message
        if when.get("on_call") is True and not any(one.get("on_call") for one in services):
            yield (*loc, "when", "on_call"), "never holds: nobody is on call; name people under services[].on_call"


def _too_few_approvers(tree: Tree, declared: Declared) -> Iterator[FoundFault]:
    """The requester cannot approve, so where a holder of the rule is also an approver there must be one more."""
    approving = {name for name in {*policy.BUILT_IN, *section_of(tree, "roles")} if _allows(tree, name, _YES)}
    if _by_groups(tree, approving, declared):
        return  # Only the platform knows who is in a group.
    held = {str(person.get("id")): _roles_of(person) for _, person in entries(tree, "people")}
    approvers = {one for one, roles in held.items() if roles & approving}
    for loc, rule in _rules(tree):
        wanted, role = rule.get("approvals"), str(loc[1])
        if loc[2] != "allow" or not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
            continue
        least = min((len(approvers - {one}) for one, roles in held.items() if role in roles), default=len(approvers))
        if least < wanted:
            message = (
                f"can never be reached: besides the requester, {least} may approve; give more people role approver"
            )
            yield (*loc, "approvals"), message


def _break_glass_without_contact(tree: Tree) -> Iterator[FoundFault]:
    for name in section_of(tree, "roles"):
        if _role(tree, name).get("break_glass") is True and not section_of(tree, "security").get("contact"):
            yield (
                ("roles", name, "break_glass"),
                "needs security.contact, which is paged when somebody uses break-glass",
            )


def _unknown_clusters(tree: Tree) -> Iterator[FoundFault]:
    clusters = tree.get("clusters")
    if not isinstance(clusters, dict):
        return
    for loc, service in entries(tree, "services"):
        cluster = service.get("cluster")
        if isinstance(cluster, str) and cluster not in clusters:
            yield (*loc, "cluster"), f"is not under `clusters`; {nearest(cluster, clusters)}"


def _shared_flagger_tokens(tree: Tree) -> Iterator[FoundFault]:
    first: dict[str, str] = {}
    clusters = section_of(tree, "clusters")
    for name in clusters:
        flagger = section_of(section_of(clusters, name), "flagger")
        for number, token in enumerate(_listed(flagger, "tokens")):
            other = first.setdefault(str(token), name)
            if other != name:
                message = f"is also one of clusters.{other}.flagger.tokens; each cluster is identified by its own token"
                yield ("clusters", name, "flagger", "tokens", number), message


def _missing_anchor_channel(tree: Tree) -> Iterator[FoundFault]:
    channel = section_of(section_of(section_of(tree, "audit"), "anchors"), "chat").get("channel")
    if isinstance(channel, str) and not isinstance(section_of(tree, "channels").get(channel), dict):
        yield ("audit", "anchors", "chat", "channel"), f"is not set up; there is no channels.{channel}"


def _open_console(tree: Tree) -> Iterator[FoundFault]:
    listen = section_of(tree, "server").get("listen")
    disabled = section_of(section_of(tree, "channels"), "console").get("enabled") is False
    if isinstance(listen, str) and ":" in listen and not is_loopback(listen) and not disabled:
        message = "is not loopback, and the console is loopback only; set channels.console.enabled: false"
        yield ("server", "listen"), message


def _missing_for_mode(tree: Tree, declared: Declared) -> Iterator[FoundFault]:
    channels = section_of(tree, "channels")
    for channel, kind in declared.channels.items():
        section = channels.get(channel)
        if not isinstance(section, dict):
            continue
        mode = section.get("mode") or kind.usual_mode()
        key = kind.mode_needs.get(str(mode))
        if key and not section.get(key):
            yield ("channels", channel, key), f"is missing; mode {mode} needs it"


def _by_groups(tree: Tree, roles: Iterable[str], declared: Declared) -> bool:
    """Whether one of these roles is given by groups of a platform."""
    return any(_listed(_role(tree, name), key) for name in roles for key in declared.group_keys)


def _allows(tree: Tree, name: str, verb: str) -> bool:
    """Whether that role allows the verb somewhere without break-glass."""
    if name not in section_of(tree, "roles"):
        return any(_matches(do, verb) for do in policy.BUILT_IN.get(name, ()))
    role = _role(tree, name)
    if role.get("break_glass") is True:
        return False
    return any(_matches(rule.get("do") if isinstance(rule, dict) else rule, verb) for rule in _listed(role, "allow"))


def _matches(do: Plain, verb: str) -> bool:
    return isinstance(do, str) and bool(do.strip()) and bool(glob_matcher(do.split()[0])(verb))


def _roles_of(person: Tree) -> set[str]:
    held = person.get("roles")
    return {str(role) for role in held} if isinstance(held, list) else {"responder"}


def _rules(tree: Tree) -> Iterator[tuple[Loc, Tree]]:
    """Every rule that is written as keys and values."""
    for name in section_of(tree, "roles"):
        for kind in ("allow", "deny"):
            for number, rule in enumerate(_listed(_role(tree, name), kind)):
                if isinstance(rule, dict):
                    yield ("roles", name, kind, number), rule


def _role(tree: Tree, name: str) -> Tree:
    return section_of(section_of(tree, "roles"), name)


def section_of(tree: Tree, key: str) -> Tree:
    """The keys and values under that key; empty where there are none."""
    found = tree.get(key)
    return found if isinstance(found, dict) else {}


def _listed(tree: Tree, key: str) -> list[Plain]:
    found = tree.get(key)
    return found if isinstance(found, list) else []


def _one_or_several(tree: Tree, key: str) -> Iterable[Plain]:
    found = tree.get(key)
    return [found] if isinstance(found, str) else _listed(tree, key)


def _ids(tree: Tree) -> set[str]:
    return {str(person.get("id")) for _, person in entries(tree, "people")}
