"""One store of the tests on the real engine."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.core.backup import CopyState, CopyStatus, EngineParts, RestorePoint, RestoreTask
from bot.integrations.clickhouse.backups import ClickHouseEngine
from bot.integrations.clickhouse.settings import ClickHouseSettings
from tests.fakes.clickhouse_http import PASSWORD, USER, FakeClickHouse
from tests.running import until


@dataclass
class Ground:
    """One store with a database of its own: 1000 orders, a small table, views, and a table that reads from outside."""

    server: FakeClickHouse
    database: str
    run: str = field(default_factory=lambda: secrets.token_hex(16))
    later: timedelta = timedelta(0)
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def backups(self) -> Path:
        return self.server.backups / self.database

    def engine(self, **changed: object) -> ClickHouseEngine:
        given = {
            "url": self.server.url,
            "user": USER,
            "password": PASSWORD,
            "database": self.database,
            "folder": self.database,
            **self.settings,
            **changed,
        }
        parts = EngineParts(store=f"prod/{self.database}", now=self.now, pause=self.wait)
        return ClickHouseEngine(ClickHouseSettings.model_validate(given), parts)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    def sql(self, statement: str) -> list[dict[str, object]]:
        return self.server.sql(statement.replace("DB", self.database))

    def count(self, table: str) -> int:
        return int(self.server.value(f"SELECT count() FROM {table.replace('DB', self.database)}"))

    def back_up(self, name: str, *, base: str = "") -> None:
        settings = f" SETTINGS base_backup = File('{self.database}/{base}')" if base else ""
        self.sql(f"BACKUP DATABASE DB TO File('DB/{name}'){settings}")

    def task(self, run: str, backup: str = "one", *, drill: bool = False) -> RestoreTask:
        preview = self.engine().preview(RestorePoint(backup_id=backup), drill=drill)
        return RestoreTask(
            run=run,
            store=f"prod/{self.database}",
            point=RestorePoint(backup_id=backup),
            drill=drill,
            facts=preview.facts,
        )

    def restored(self, run: str, backup: str = "one", *, drill: bool = False) -> RestoreTask:
        task = self.task(run, backup, drill=drill)
        self.engine().begin(task)
        assert self.ended(task).state is CopyState.RESTORED, self.ended(task).message
        return task

    def ended(self, task: RestoreTask) -> CopyStatus:
        until(lambda: self.engine().look(task).state is not CopyState.RUNNING, "the restore has ended")
        return self.engine().look(task)

    def copy(self, task: RestoreTask) -> str:
        return f"{self.database}_restore_{task.short_run}"

    def wait(self, much: timedelta) -> None:
        self.later += much
