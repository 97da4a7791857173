"""A drill of a PostgreSQL from its plan to its teardown, beside plain pg_restore and createdb of the same archive.

What a drill does besides restoring (isolating, checking every table and index, removing) is told apart. Both write to
the same server with the same number of connections, in turns, the archive in the page cache.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import psycopg
from pydantic import SecretStr

from bench.ground import Ground
from bench.peers import newest_postgres
from bench.table import Line, at_most
from bot.backups import drill, drill_plan
from bot.core.action import Tools
from bot.core.backup import BackupRecords, BackupStore, DrillResult, EngineParts
from bot.core.plan import Result
from bot.integrations.postgres.backups import PostgresEngine
from bot.integrations.postgres.settings import PostgresBackupSettings
from bot.integrations.programs.local import LocalPrograms
from bot.store import migrating
from bot.store.backup_rows import StoredBackupRecords
from bot.store.engine import Store

_JOBS, _ROW_BYTES = 2, 1000
_NAME = "bench/orders"


@dataclass(frozen=True)
class _Stores:
    """Implements `core.backup.Backups`."""

    stores: Mapping[str, BackupStore]
    records: BackupRecords


def measure(ground: Ground) -> list[Line]:
    size = 50_000_000 if ground.quick else 1_000_000_000
    database, folder = ground.postgres.new_database(), ground.dir / "archives"
    folder.mkdir()
    _fill(ground.postgres.url(database), size)
    archive = _dump(ground, database, folder / "orders.dump")
    plain: list[float] = []
    drilled: list[float] = []
    restores: list[float] = []
    with _tools(ground, database, folder) as tools:
        drill_plan.plan(_NAME, tools)  # reads the archive to its end, once for each archive
        for turn in range(ground.rounds):
            plain.append(_restore(ground, archive))
            took, restore = _drill(tools, turn)
            drilled.append(took)
            restores.append(restore)
    ground.postgres.drop(database)
    return [_line(size, median(plain), median(drilled), median(restores))]


def _line(size: int, plain: float, drilled: float, restore: float) -> Line:
    ratio = drilled / plain
    return Line(
        what=f"a drill of {size / 1e9:g} GB of PostgreSQL from plan to teardown, against pg_restore",
        least="1.05 x pg_restore",
        aim="1.05 x",
        reached=f"{ratio:.2f} x: {drilled:.1f} s against {plain:.1f} s; its restore alone {restore / plain:.2f} x",
        verdict=at_most(ratio, 1.05, 1.05),
        bound="what is more than 1 x is isolation, the checks of every table and index, and removing the copy",
        numbers={"plain_s": plain, "drill_s": drilled, "restore_s": restore},
    )


def _drill(tools: Tools, turn: int) -> tuple[float, float]:
    """Seconds of the whole drill, and of its restore."""
    began = time.monotonic()
    plan = drill_plan.plan(_NAME, tools)
    outcome = drill.run(_NAME, plan, f"{turn:032x}", tools)
    took = time.monotonic() - began
    assert tools.backups is not None
    row = tools.backups.records.list_drills(_NAME)[0]
    assert (outcome.result, row.result) == (Result.DONE, DrillResult.PASSED), outcome.message
    restore = next(one for one in row.phases if one.name == "restore")
    assert restore.end is not None
    return took, (restore.end - restore.start).total_seconds()


def _restore(ground: Ground, archive: Path) -> float:
    began = time.monotonic()
    name = ground.postgres.new_database()
    options = ["--exit-on-error", "--no-owner", "--no-privileges", f"--jobs={_JOBS}"]
    _ran("pg_restore", *options, f"--dbname={ground.postgres.url(name)}", str(archive))
    took = time.monotonic() - began
    ground.postgres.drop(name)
    return took


def _dump(ground: Ground, database: str, archive: Path) -> Path:
    _ran("pg_dump", "--format=custom", f"--file={archive}", ground.postgres.url(database))
    return archive


def _ran(program: str, *arguments: str) -> None:
    subprocess.run([newest_postgres() / program, *arguments], check=True, capture_output=True)


def _fill(url: str, size: int) -> None:
    """Four tables with rows of a kilobyte, a primary key and an index each."""
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(4):
            table = f"orders_{number}"
            connection.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, at timestamptz, item text, note text)")
            connection.execute(
                f"INSERT INTO {table} SELECT g, now(), md5(g::text), repeat(md5((g * 7)::text), 29)"
                f" FROM generate_series(1, {size // 4 // _ROW_BYTES}) g"
            )
            connection.execute(f"CREATE INDEX ON {table} (item)")


@contextmanager
def _tools(ground: Ground, database: str, folder: Path) -> Iterator[Tools]:
    own = Store(f"sqlite:///{ground.dir}/drills.db")
    migrating.migrate(own)
    settings = PostgresBackupSettings(
        database=database,
        url=SecretStr(ground.postgres.url("postgres")),
        folder=str(folder),
        programs=str(newest_postgres()),
        jobs=_JOBS,
    )
    parts = EngineParts(store=_NAME, now=_now, pause=_pause, programs=LocalPrograms())
    store = BackupStore(
        name=_NAME,
        service="",
        engine=PostgresEngine(settings, parts),
        engine_name="postgres",
        rpo=timedelta(hours=1),
        rto=timedelta(hours=4),
    )
    yield Tools(now=_now, pause=_pause, backups=_Stores({_NAME: store}, StoredBackupRecords(own)))
    own.close()


def _now() -> datetime:
    """Two minutes ahead: an archive of this minute may still be growing, and is not judged yet."""
    return datetime.now(UTC) + timedelta(minutes=2)


def _pause(much: timedelta) -> None:
    time.sleep(much.total_seconds())
