"""Velero as an engine of backups: what there is, restores into namespaces beside the live ones, and backups now."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.backup import (
    Check,
    CheckResult,
    Copy,
    CopyState,
    CopyStatus,
    EngineParts,
    Inventory,
    Report,
    RestorePoint,
    RestorePreview,
    RestoreTask,
)
from bot.core.errors import Rejected
from bot.integrations.velero import begin, preview, progress, taken, teardown, verify
from bot.integrations.velero.facts import RestoreFacts
from bot.integrations.velero.inventory import InventoryReader
from bot.integrations.velero.settings import VeleroSettings
from bot.integrations.velero.site import VeleroSite


class VeleroEngine:
    """Implements `BackupReader`, `Restorer` and `BackupTaker`. It has no cutover: traffic is switched by people."""

    title = "Velero"

    def __init__(self, where: VeleroSettings, parts: EngineParts) -> None:
        self._where = where
        self._parts = parts
        self._reader = InventoryReader()

    def inventory(self) -> Inventory:
        return self._reader.read(self._site())[0]

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        site = self._site()
        inventory, judged = self._reader.read(site)
        if inventory.blockers:
            raise Rejected(f"{' '.join(inventory.blockers)} Nothing was done.", code="blocked")
        return preview.preview(site, judged, point, drill=drill)

    def begin(self, task: RestoreTask) -> None:
        begin.begin(self._site(), task)

    def look(self, task: RestoreTask) -> CopyStatus:
        return progress.look(self._site(), task)

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        return verify.verify(self._site(), task, checks, report)

    def isolation_leak(self, task: RestoreTask) -> str:
        return begin.leak(self._site(), task, RestoreFacts.of(task))

    def copies(self) -> Sequence[Copy]:
        return teardown.copies(self._site())

    def remove(self, copy: Copy) -> None:
        teardown.remove_run(self._site(), copy.run)

    def begin_backup(self, run: str) -> None:
        taken.begin_backup(self._site(), run)

    def look_backup(self, run: str) -> CopyStatus:
        site = self._site()
        status = taken.look_backup(site, run)
        if status.state is not CopyState.RESTORED:
            return status
        made = next((one for one in self._reader.read(site)[1] if one.backup.id == status.message), None)
        if made is None:
            chosen = self._where.schedule or self._where.labels
            return CopyStatus(state=CopyState.FAILED, message=f"{status.message} is made, but is not among {chosen}")
        if made.backup.problem:
            message = f"{made.backup.id} is made, and cannot be restored from: {made.backup.problem}"
            return CopyStatus(state=CopyState.FAILED, message=message)
        return status

    def _site(self) -> VeleroSite:
        """Raises `Rejected`: the settings have no such cluster."""
        if self._parts.cluster is None:
            raise Rejected(f"Store {self._parts.store} needs a cluster of the settings. Nothing was done.")
        return VeleroSite(
            cluster=self._parts.cluster(self._where.cluster),
            where=self._where,
            store=self._parts.store,
            now=self._parts.now,
            pause=self._parts.pause,
        )
