"""The checks of a copy that Velero made: Velero's own counts, every volume read by a Job, and those of the settings.

A check of the settings is `count KIND [SELECTOR]`: the number of such objects in the copy, as the live namespaces have
them or as a number. Velero restores no database that could be asked; for one, make a store of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bot.core.backup import Check, CheckResult, Report, RestoreTask
from bot.core.backup_checks import run_check
from bot.core.errors import Rejected
from bot.core.kubernetes import ResourceKind
from bot.integrations.kubernetes.resources import status_of
from bot.integrations.velero.begin import runner
from bot.integrations.velero.downloads import fetch
from bot.integrations.velero.facts import RestoreFacts, copy_of, restore_name
from bot.integrations.velero.progress import claims_of, failures, movements
from bot.integrations.velero.site import RESTORE, VeleroSite

_COUNT = re.compile(
    r"count (?P<plural>[a-z]+)(?:\.(?P<group>[a-z0-9.-]+)/(?P<version>v[0-9a-z]+))?(?: (?P<labels>\S+))?"
)
#: Where the kinds are that a query may name by their plural alone.
_GROUPS = {
    "deployments": "apps/v1",
    "statefulsets": "apps/v1",
    "replicasets": "apps/v1",
    "daemonsets": "apps/v1",
    "cronjobs": "batch/v1",
    "jobs": "batch/v1",
    "ingresses": "networking.k8s.io/v1",
}
_CORE = ("pods", "services", "configmaps", "secrets", "persistentvolumeclaims", "serviceaccounts")
_MOST_WARNINGS = 3


def verify(site: VeleroSite, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
    """Raises nothing but what a lost cluster raises."""
    found = [*_counts(site, task)]
    facts, claims = RestoreFacts.of(task), claims_of(site, task)
    for claim in sorted(facts.volumes):
        report(f"reading volume {claim}")
        bound = claim in claims and status_of(claims[claim]).get("phase") == "Bound"
        found.append(_is_bound(claim, bound=bound))
        if bound and claim not in site.where.empty_volumes:
            found.append(_is_readable(site, task, claim))
    data_at = None
    for check in checks:
        report(f"check {check.name}")
        found.append(
            run_check(
                check,
                lambda query: _counted(site, query, [copy_of(one, task.short_run) for one in site.where.included]),
                ask_live=lambda query: _counted(site, query, list(site.where.included)),
                data_at=data_at,
            )
        )
    return found


def _counts(site: VeleroSite, task: RestoreTask) -> Iterator[CheckResult]:
    name = restore_name(task.run)
    restore = site.get(RESTORE, name)
    if restore is None:
        yield CheckResult(name="Velero's Restore", expected="Completed", got="it is gone", ok=False)
        return
    phase, wrong = str(status_of(restore).get("phase") or "New"), list(failures(restore))
    got = "; ".join([phase, *wrong])
    yield CheckResult(name="Velero's Restore", expected="Completed", got=got, ok=phase == "Completed" and not wrong)
    warnings = int(status_of(restore).get("warnings") or 0)
    told = f"{warnings}: {_warnings(site, name)}" if warnings else "0"
    yield CheckResult(name="warnings", expected="0", got=told, ok=not warnings)
    moved, facts = movements(site, name), RestoreFacts.of(task)
    wanted = sum(size for size in facts.volumes.values() if size > 0)
    done = sum(one.done for one in moved)
    if wanted or moved:
        yield CheckResult(name="bytes of volumes", expected=str(wanted), got=str(done), ok=done >= wanted)


def _warnings(site: VeleroSite, name: str) -> str:
    """The first ones. Most often: an object existed already and was skipped, that is, not restored."""
    try:
        told = fetch(site, "RestoreResults", name)
    except Rejected as refused:
        return f"their texts cannot be read: {refused.message}"
    warnings = told.get("warnings") if isinstance(told, dict) else None
    warnings = warnings if isinstance(warnings, dict) else {}
    some = [*(warnings.get("velero") or ()), *(warnings.get("cluster") or ())]
    some += [one for each in (warnings.get("namespaces") or {}).values() for one in each]
    return "; ".join(str(one) for one in some[:_MOST_WARNINGS]) or "without a text"


def _is_bound(claim: str, *, bound: bool) -> CheckResult:
    return CheckResult(name=f"volume {claim}", expected="Bound", got="Bound" if bound else "not bound", ok=bound)


def _is_readable(site: VeleroSite, task: RestoreTask, claim: str) -> CheckResult:
    namespace, _, name = claim.partition("/")
    expected = "a file with contents"
    try:
        some = runner(site, task).readable(copy_of(namespace, task.short_run), _job_name(name, task), name)
    except Rejected as refused:
        return CheckResult(name=f"read volume {claim}", expected=expected, got=refused.message, ok=False)
    got = expected if some else "no file with contents"
    return CheckResult(name=f"read volume {claim}", expected=expected, got=got, ok=some)


def _job_name(claim: str, task: RestoreTask) -> str:
    """At most 63 characters, because its pods carry it in a label."""
    return f"vakhta-read-{task.short_run}-{claim}"[:63].rstrip("-.")


def _counted(site: VeleroSite, query: str, namespaces: list[str]) -> str:
    kind, labels = _kind(query)
    return str(sum(len(site.cluster.find(kind, one, labels=labels)) for one in namespaces))


def _kind(query: str) -> tuple[ResourceKind, str]:
    found = _COUNT.fullmatch(query.strip())
    plural = found["plural"] if found else ""
    if found is not None and found["group"]:
        kind = ResourceKind(group=found["group"], version=found["version"], plural=plural, title=plural)
        return kind, found["labels"] or ""
    group, _, version = _GROUPS.get(plural, "").partition("/")
    if found is None or not (group or plural in _CORE):
        known = ", ".join((*_CORE, *_GROUPS))
        raise Rejected(
            f"The check {query!r} is not understood: write `count KIND`, with one of {known} or PLURAL.GROUP/VERSION."
        )
    return ResourceKind(group=group, version=version or "v1", plural=plural, title=plural), found["labels"] or ""
