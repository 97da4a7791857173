"""CloudNativePG as an engine of backups: the window that can be recovered, copies as new clusters, and backups now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

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
from bot.integrations.cloudnativepg import copies, inventory, preview, taken
from bot.integrations.cloudnativepg.manifests import copy_name
from bot.integrations.cloudnativepg.settings import CloudNativePgSettings
from bot.integrations.cloudnativepg.site import BACKUP, CLUSTER, CnpgSite
from bot.integrations.kubernetes.resources import moment, status_of
from bot.integrations.postgres import sentinel
from bot.integrations.postgres.checks import verify_postgres
from bot.integrations.postgres.connection import PostgresConnection, PostgresServer

_CHECKED_WITHIN = timedelta(hours=2)


class CloudNativePgEngine:
    """Implements `BackupReader`, `Restorer`, `BackupTaker` and `SentinelEngine`. It has no cutover: clients are pointed
    at the copy by people.
    """

    title = "CloudNativePG"

    def __init__(self, where: CloudNativePgSettings, parts: EngineParts) -> None:
        self._where = where
        self._parts = parts

    def inventory(self) -> Inventory:
        return inventory.read(self._site())

    def preview(self, point: RestorePoint, *, drill: bool) -> RestorePreview:
        site = self._site()
        return preview.preview(site, inventory.read(site), point, drill=drill)

    def begin(self, task: RestoreTask) -> None:
        copies.begin(self._site(), task)

    def look(self, task: RestoreTask) -> CopyStatus:
        return copies.look(self._site(), task)

    def verify(self, task: RestoreTask, checks: Sequence[Check], report: Report) -> Sequence[CheckResult]:
        site = self._site()
        name = copy_name(self._where, task.short_run)
        found = site.get(CLUSTER, name)
        if found is None:
            return [CheckResult(name="the copy", expected="there", got="it is gone", ok=False)]
        own = [_same_system(task, str(status_of(found).get("systemID") or ""))]
        if self._where.url is None:
            unread = "not read: the store has no url, so nothing of the data was looked at"
            return [*own, CheckResult(name="every row can be read", expected="yes", got=unread, ok=False)]
        live, copy = self._server(self._where.name), self._server(name)
        timeline = task.facts.get("timeline", "")
        return own + verify_postgres(
            lambda: _reading(copy),
            checks,
            report,
            live=lambda: _reading(live),
            data_at=task.point.at or self._data_at(site, task),
            system_identifier=task.facts.get("system_id", ""),
            timeline_above=int(timeline) if timeline.isdigit() and task.point.at else 0,
        )

    def isolation_leak(self, task: RestoreTask) -> str:
        return copies.leak(self._site(), task)

    def copies(self) -> Sequence[Copy]:
        return copies.list_copies(self._site())

    def remove(self, copy: Copy) -> None:
        copies.remove(self._site(), copy.run)

    def begin_backup(self, run: str) -> None:
        taken.begin_backup(self._site(), run)

    def look_backup(self, run: str) -> CopyStatus:
        site = self._site()
        status = taken.look_backup(site, run)
        made = site.get(BACKUP, status.message) if status.state is CopyState.RESTORED else None
        if made is None:
            return status
        problem = inventory.judge(site, made, inventory.look_at_archive(site, site.live())).problem
        if not problem:
            return status
        message = f"{status.message} is made, and cannot be restored from: {problem}"
        return CopyStatus(state=CopyState.FAILED, message=message)

    def write_sentinel(self, token: str) -> None:
        sentinel.write(self._server(self._where.name), token, self._parts.now())

    def read_sentinels(self, task: RestoreTask) -> Mapping[str, datetime]:
        return sentinel.read(self._server(copy_name(self._where, task.short_run)))

    def _server(self, name: str) -> PostgresServer:
        """Raises `Rejected`: the settings do not say how it is reached."""
        if self._where.url is None:
            message = f"Store {self._parts.store} has no url. Nothing was done. Set it, with {{name}} for the cluster."
            raise Rejected(message, code="no_url")
        return PostgresServer(self._where.url.get_secret_value().replace("{name}", name))

    @staticmethod
    def _data_at(site: CnpgSite, task: RestoreTask) -> datetime | None:
        found = site.get(BACKUP, task.point.backup_id)
        return moment(status_of(found).get("stoppedAt")) if found else None

    def _site(self) -> CnpgSite:
        """Raises `Rejected`: the settings have no such cluster."""
        if self._parts.cluster is None:
            raise Rejected(f"Store {self._parts.store} needs a cluster of the settings. Nothing was done.")
        return CnpgSite(
            cluster=self._parts.cluster(self._where.cluster),
            where=self._where,
            store=self._parts.store,
            now=self._parts.now,
            pause=self._parts.pause,
        )


def _reading(server: PostgresServer) -> AbstractContextManager[PostgresConnection]:
    return server.connect(limit=_CHECKED_WITHIN)


def _same_system(task: RestoreTask, got: str) -> CheckResult:
    """By the operator's word; the server's own is asked by `verify_postgres`."""
    wanted = task.facts.get("system_id", "")
    name = "system identifier, by the operator"
    return CheckResult(name=name, expected=wanted or "any", got=got or "none", ok=not wanted or got == wanted)
