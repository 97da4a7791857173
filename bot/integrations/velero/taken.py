"""A backup by Velero now, as its Schedule would make it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot.core.backup import OWNER_LABEL, CopyState, CopyStatus
from bot.core.errors import Rejected
from bot.integrations.kubernetes.resources import labels_of, moment, status_of
from bot.integrations.velero.facts import restore_name
from bot.integrations.velero.inventory import phase_problem
from bot.integrations.velero.site import BACKUP, SCHEDULE, SCHEDULE_LABEL, VeleroSite

_SILENT_AFTER = timedelta(minutes=10)
_BEFORE = ("New", "Queued", "ReadyToStart")
_AFTER = ("PartiallyFailed", "Failed", "FailedValidation", "Deleting")


def begin_backup(site: VeleroSite, run: str) -> None:
    """Raises `Rejected`, `Conflict`: nothing was done; `OutcomeUnknown`."""
    name = restore_name(run)
    found = site.get(BACKUP, name)
    if found is not None:
        _check_owner(labels_of(found), run, name)
        return
    schedule = _template(site)
    labels = {**schedule[0], OWNER_LABEL: run}
    manifest = {"metadata": {"name": name, "labels": labels}, "spec": dict(schedule[1])}
    try:
        site.cluster.create(BACKUP, site.where.namespace, manifest, by=f"vakhta-{run[:8]}")
    except Rejected as refused:
        if refused.code != "exists":
            raise


def look_backup(site: VeleroSite, run: str) -> CopyStatus:
    """Of one that Velero has completed, the state is RESTORED and its name the message."""
    name = restore_name(run)
    found = site.get(BACKUP, name)
    if found is None:
        return CopyStatus(state=CopyState.ABSENT)
    phase = str(status_of(found).get("phase") or "New")
    problem = phase_problem(found, site.now())
    if phase in _BEFORE:
        return CopyStatus(state=CopyState.WAITING, message=_waiting(found, site, problem), phase=phase)
    if phase in _AFTER or (phase == "Completed" and problem):
        return CopyStatus(state=CopyState.FAILED, message=problem)
    if phase == "Completed":
        return CopyStatus(state=CopyState.RESTORED, message=name)
    progress = status_of(found).get("progress") or {}
    told = f"{progress.get('itemsBackedUp', 0)} of {progress['totalItems']} objects" if "totalItems" in progress else ""
    return CopyStatus(state=CopyState.RUNNING, message=told, phase=phase)


def _waiting(found: Mapping[str, Any], site: VeleroSite, problem: str) -> str:
    created = moment(found["metadata"].get("creationTimestamp"))
    waited = f", for {int((site.now() - created).total_seconds() // 60)} min" if created else ""
    ahead = int(status_of(found).get("queuePosition") or 1) - 1
    if status_of(found).get("phase") == "Queued" and ahead > 0:
        return f"behind {ahead} backup{'s' if ahead > 1 else ''} in Velero's queue{waited}"
    if created and site.now() - created >= _SILENT_AFTER:
        return f"Velero has not begun it{waited}: check that its Deployment runs"
    return f"{problem}{waited}"


def _template(site: VeleroSite) -> tuple[Mapping[str, str], Mapping[str, Any]]:
    """The labels and the spec of a backup of this store."""
    if site.where.schedule:
        schedule = site.get(SCHEDULE, site.where.schedule)
        if schedule is None:
            message = f"Velero has no Schedule {site.where.schedule}. Nothing was done. Correct the settings."
            raise Rejected(message, code="no_schedule")
        spec = (schedule.get("spec") or {}).get("template") or {}
        return {**labels_of(schedule), SCHEDULE_LABEL: site.where.schedule}, spec
    pairs = [one.partition("=") for one in str(site.where.labels).split(",")]
    if not all(mark and "!" not in key and not value.startswith("=") for key, mark, value in pairs):
        message = (
            f"The selector {site.where.labels} gives no labels for a new backup. Nothing was done. Name a schedule."
        )
        raise Rejected(message, code="no_schedule")
    return {key.strip(): value.strip() for key, _, value in pairs}, {"includedNamespaces": list(site.where.included)}


def _check_owner(labels: Mapping[str, str], run: str, name: str) -> None:
    if labels.get(OWNER_LABEL) != run:
        raise Rejected(f"Backup {name} exists and is not of this run. Nothing was done.", code="not_ours")
