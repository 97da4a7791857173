"""A backup by CloudNativePG now, in the way of the cluster's schedule."""

from __future__ import annotations

from typing import Any

from bot.core.backup import OWNER_LABEL, CopyState, CopyStatus
from bot.core.errors import Rejected
from bot.core.kubernetes import KubernetesObject
from bot.integrations.cloudnativepg.copies import silence
from bot.integrations.cloudnativepg.site import BACKUP, PLUGIN, SCHEDULED, CnpgSite
from bot.integrations.kubernetes.resources import labels_of, status_of

_LONGEST = 63


def begin_backup(site: CnpgSite, run: str) -> None:
    """Raises `Rejected`, `Conflict`: nothing was done; `OutcomeUnknown`."""
    site.live()
    name = _name(run)
    manifest = {"metadata": {"name": name, "labels": {OWNER_LABEL: run}}, "spec": _spec(site)}
    try:
        site.cluster.create(BACKUP, site.where.namespace, manifest, by=f"vakhta-{run[:8]}")
    except Rejected as refused:
        found = site.get(BACKUP, name) if refused.code == "exists" else None
        if found is None or labels_of(found).get(OWNER_LABEL) != run:
            raise


def look_backup(site: CnpgSite, run: str) -> CopyStatus:
    """Of one that is completed, the state is RESTORED and its name the message."""
    found = site.get(BACKUP, _name(run))
    if found is None:
        return CopyStatus(state=CopyState.ABSENT)
    phase, error = str(status_of(found).get("phase") or ""), str(status_of(found).get("error") or "")
    if phase == "completed":
        return CopyStatus(state=CopyState.RESTORED, message=_name(run))
    if phase in ("failed", "invalid backup definition"):
        return CopyStatus(state=CopyState.FAILED, message=f"{phase}: {error or 'no reason given'}")
    if phase == "walArchivingFailing":
        message = f"the archiving of WAL fails, so the operator does not begin: {error or 'no reason given'}"
        return CopyStatus(state=CopyState.WAITING, message=message, phase=phase)
    if phase in ("", "pending"):
        return CopyStatus(state=CopyState.WAITING, message=silence(site, found), phase=phase)
    return CopyStatus(state=CopyState.RUNNING, phase=phase)


def _spec(site: CnpgSite) -> dict[str, Any]:
    scheduled = next((one for one in site.find(SCHEDULED) if _of(one) == site.where.name), None)
    plugin = {"method": "plugin", "pluginConfiguration": {"name": PLUGIN}}
    taken = ("method", "pluginConfiguration", "target", "online", "onlineConfiguration")
    spec = {key: scheduled["spec"][key] for key in taken if key in scheduled["spec"]} if scheduled else plugin
    return {"cluster": {"name": site.where.name}, **spec}


def _of(scheduled: KubernetesObject) -> str:
    return str(((scheduled.get("spec") or {}).get("cluster") or {}).get("name") or "")


def _name(run: str) -> str:
    return f"vakhta-{run}"[:_LONGEST]
