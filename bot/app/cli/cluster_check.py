"""`vakhta check --cluster`: whether each cluster grants the bot what the settings allow people, and the missing Roles.

It only reads from the clusters. The output is YAML with the report as comments, so that it can be read and then given
to `kubectl apply -f -` as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import yaml

import commands
from bot.access.conditions import Context
from bot.access.policy import CompiledRule, Policy
from bot.app.build import build_policy
from bot.app.cli import backup_rights
from bot.app.service_sites import ServiceSites
from bot.config.settings import Settings
from bot.core.access import Permission
from bot.core.errors import Rejected
from bot.core.kubernetes import ResourceAccess
from bot.core.site import ServiceTarget
from bot.integrations.kubernetes.client import KubernetesClient
from bot.integrations.kubernetes.settings import ClusterSettings
from bot.lib import terminal
from bot.workloads import rbac

#: Placeholders in the Roles for a cluster that does not say who the bot is. They are no valid account names, so the
#: cluster refuses a binding in which they were not replaced.
_UNKNOWN, _UNNAMED = "system:serviceaccount:NAMESPACE:ACCOUNT", "vakhta-ACCOUNT"


def check(settings: Settings, only: str) -> ClusterReport:
    """Ask that cluster, or every cluster ("").

    Raises:
        Rejected: the settings have no such cluster.
    """
    if only and only not in settings.clusters:
        known = ", ".join(settings.clusters) or "none"
        raise Rejected(f"The settings have no cluster {only}. Nothing was checked. Known: {known}.")
    found = tuple(_findings(settings, frozenset(commands.actions()), only))
    lines = [line for one in found for line in _printed(one)] or ["# The settings have no cluster."]
    return ClusterReport(text="\n".join(lines), whole=all(one.whole for one in found))


@dataclass(frozen=True, kw_only=True)
class ClusterReport:
    """The text to print; `whole`: nothing is missing, and every cluster answered."""

    text: str
    whole: bool


@dataclass(frozen=True, kw_only=True)
class RbacFinding:
    """The permissions needed in one cluster, and which of them are missing."""

    cluster: str
    user: str  #: the bot's user there
    wanted: Mapping[str, tuple[ResourceAccess, ...]]  #: by purpose: "scale prod/api"
    missing: frozenset[ResourceAccess] = frozenset()
    trouble: str = ""  #: why the cluster could not be asked

    @property
    def whole(self) -> bool:
        return not self.missing and not self.trouble


def _findings(settings: Settings, verbs: frozenset[str], only: str) -> Iterator[RbacFinding]:
    """One finding per cluster. `verbs`: all known actions."""
    clusters = {name: KubernetesClient(name, section) for name, section in settings.clusters.items()}
    catalog = ServiceSites(settings, lambda name, _: clusters[name])
    sites = [catalog.of(name, None) for name in catalog.names()]
    for name, cluster in clusters.items():
        if only not in ("", name):
            continue
        wanted = dict(_wanted(settings, verbs, [one for one in sites if one.cluster is cluster]))
        wanted |= _of_nodes(settings, verbs, name)
        wanted |= dict(
            backup_rights.of_stores(settings, name, partial(_enabled, build_policy(settings), _roles(settings)))
        )
        wanted |= _about_people(settings, settings.clusters[name]) if wanted else {}
        yield _found(cluster, wanted)


def _found(cluster: KubernetesClient, wanted: Mapping[str, tuple[ResourceAccess, ...]]) -> RbacFinding:
    try:
        user = cluster.whoami()
        asked = dict.fromkeys(one for some in wanted.values() for one in some)
        missing = frozenset(one for one in asked if not cluster.allowed(one))
    except Rejected as refused:
        return RbacFinding(cluster=cluster.name, user="", wanted=wanted, trouble=refused.message)
    return RbacFinding(cluster=cluster.name, user=user, wanted=wanted, missing=missing)


def _wanted(
    settings: Settings, verbs: frozenset[str], sites: Iterable[ServiceTarget]
) -> Iterator[tuple[str, tuple[ResourceAccess, ...]]]:
    policy, held = build_policy(settings), _roles(settings)
    for target in sites:
        for verb in rbac.VERBS:
            needed = rbac.grants_for(verb, target.workload)
            if verb == "rollback" and settings.clusters[target.cluster.name].helm is not None:
                needed += rbac.helm_grants(target.workload)
            if needed and verb in verbs and _enabled(policy, held, verb, target.service):
                yield f"{verb} {target.service}", needed


def _of_nodes(settings: Settings, verbs: frozenset[str], cluster: str) -> Mapping[str, tuple[ResourceAccess, ...]]:
    """Ignores rules that name single nodes: only the cluster knows which nodes exist."""
    policy, held = build_policy(settings), _roles(settings)
    enabled = [one for one in rbac.ON_NODES if one in verbs and _enabled(policy, held, one, f"{cluster}/node")]
    return {f"{verb} {cluster}/*": rbac.ON_NODES[verb] for verb in enabled}


def _roles(settings: Settings) -> frozenset[str]:
    """The roles that somebody has, may have by a group, or gets by break-glass."""
    if settings.local_operator:
        return frozenset({"admin"})
    others = {name for name, role in settings.roles.items() if role.groups or role.break_glass}
    return frozenset(others).union(*(one.roles for one in settings.people))


def _enabled(policy: Policy, held: frozenset[str], verb: str, service: str) -> bool:
    """Whether a person with one of these roles may ever do that."""
    wanted, context = Permission(verb=verb, target=service), Context(now=datetime.now(UTC), service=service)
    matching = [policy.rules_of(frozenset({role}), verb).matching(wanted, context) for role in held]
    return any(_allows(rules) for rules in matching)


def _allows(rules: Iterable[CompiledRule]) -> bool:
    """Whether one of them can allow it, and none denies it unconditionally."""
    rules = tuple(rules)
    return any(not one.denies for one in rules) and not any(one.denies and not one.checks for one in rules)


def _about_people(settings: Settings, section: ClusterSettings) -> Mapping[str, tuple[ResourceAccess, ...]]:
    """The permissions for asking about people's rights, and for impersonating people."""
    people = [one.kubernetes for one in settings.people if one.kubernetes is not None]
    wanted: dict[str, tuple[ResourceAccess, ...]] = {}
    if section.review and people:
        reviews = ResourceAccess(verb="create", group="authorization.k8s.io", resource="subjectaccessreviews")
        wanted["ask about people"] = (reviews,)
    if section.impersonate:
        named = [("users", one.user) for one in people] + [("groups", each) for one in people for each in one.groups]
        wanted["write in people's names"] = tuple(
            ResourceAccess(verb="impersonate", group="", resource=resource, name=name)
            for resource, name in sorted(set(named))
        )
    return wanted


def _printed(found: RbacFinding) -> Iterator[str]:
    """The comments and the Roles. A cluster's answer must not begin a line of the YAML, so each comment is one line."""
    yield from (terminal.printable(line) for line in _comments(found))
    if found.missing:
        yield from _roles_of(found)


def _comments(found: RbacFinding) -> Iterator[str]:
    yield f"# Cluster {found.cluster}{f', asked as {found.user}' if found.user else ''}"
    if found.trouble:
        yield f"#   {found.trouble}"
        return
    if not found.wanted:
        yield "#   The settings allow nobody to change anything there."
    for purpose, needed in found.wanted.items():
        missing = [one for one in needed if one in found.missing]
        yield f"#   {purpose}: {_listed(missing) if missing else 'granted'}"


def _roles_of(found: RbacFinding) -> Iterator[str]:
    """Complete Roles for each namespace where something is missing, because applying one replaces the old one."""
    if not found.user:
        yield "# The cluster does not say who the bot is: replace ACCOUNT and NAMESPACE everywhere by its account,"
        yield "# in the names too, so that the Roles of another bot are not replaced."
    places = {one.namespace for one in found.missing}
    wanted = {one for some in found.wanted.values() for one in some if one.namespace in places}
    made = rbac.role_documents(wanted, found.user) if found.user else rbac.role_documents(wanted, _UNKNOWN, _UNNAMED)
    yield "---"
    yield yaml.safe_dump_all(made, sort_keys=False, width=120).rstrip("\n")


def _listed(missing: Iterable[ResourceAccess]) -> str:
    by_place: dict[str, list[str]] = {}
    for one in missing:
        by_place.setdefault(one.namespace, []).append(f"{one}{f' ({one.name})' if one.name else ''}")
    parts = [f"{', '.join(some)}{f' in {where}' if where else ''}" for where, some in by_place.items()]
    return f"MISSING {'; '.join(parts)}"
