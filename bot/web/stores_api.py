"""Stores of backups as the API shows them: what could be restored now, against what is promised, and the last drills.

It reads the bot's own rows alone and asks no engine, so it answers at once, and says how old the last look is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from bot.backups.judging import DRILLS_JUDGED, Fault, StoreReport, Verdict, judge, why_unusable
from bot.core.backup import Backup, Backups, Drill, DrillResult

#: Drills in one answer, by store.
MOST_DRILLS = 12


class FindingOut(BaseModel):
    """One thing that speaks against a store."""

    fault: Fault
    text: str
    since: datetime | None


class BackupOut(BaseModel):
    """One backup. `problem`: why it cannot be restored from; empty for a usable one."""

    id: str
    data_at: datetime
    kind: str
    size_bytes: int | None
    problem: str
    damage: str


class WalOut(BaseModel):
    """The log between backups."""

    ok_until: datetime | None
    gap: str


class StoreDrillOut(BaseModel):
    """One drill: how it ended, how long it took to be usable, and how old its data was."""

    run: str
    began_at: datetime
    result: DrillResult
    message: str
    rto_s: float | None
    rpo_s: float | None


class StoreOut(BaseModel):
    """One store. Where it is not `known`, what is said of its backups is from the last look that succeeded."""

    name: str
    service: str
    engine: str
    title: str
    where: str
    verdict: Verdict
    findings: list[FindingOut]
    rpo_s: float
    rto_s: float
    known: bool
    read_at: datetime | None
    problem: str = Field(description="Why it cannot be read now.")
    reaches: datetime | None = Field(description="The newest moment whose data can be restored.")
    usable: BackupOut | None = Field(description="The newest usable backup.")
    newest: BackupOut | None = Field(description="The newest backup of any kind.")
    wal: WalOut | None
    restorable: bool = Field(description="False for a store that is only read.")
    rto_p50_s: float | None
    rto_p95_s: float | None
    drill_due_at: datetime | None
    drills: list[StoreDrillOut] = Field(description="The newest first; at most 12.")


class StoresOut(BaseModel):
    """All stores of the settings, the worst first."""

    stores: list[StoreOut]


def all_stores(backups: Backups | None, now: Callable[[], datetime]) -> bytes:
    """None: the settings have no stores."""
    found = [] if backups is None else [_store(backups, name, now()) for name in backups.stores]
    order = [Verdict.RED, Verdict.UNKNOWN, Verdict.WARNING, Verdict.OK]
    found.sort(key=lambda one: (order.index(one.verdict), one.name))
    return StoresOut(stores=found).model_dump_json().encode()


def _store(backups: Backups, name: str, now: datetime) -> StoreOut:
    store = backups.stores[name]
    drills = backups.records.list_drills(name, DRILLS_JUDGED)
    report = judge(store, backups.records.get_look(name), drills, now)
    return StoreOut(
        name=name,
        service=store.service,
        engine=store.engine_name,
        title=store.engine.title,
        where=store.where,
        verdict=report.verdict,
        findings=[FindingOut(fault=one.fault, text=one.text, since=one.since) for one in report.findings],
        rpo_s=report.rpo.total_seconds(),
        rto_s=report.rto.total_seconds(),
        known=report.known,
        read_at=report.read_at,
        problem=report.problem,
        reaches=report.reaches,
        usable=_backup(report.usable, now),
        newest=_backup(report.newest, now),
        wal=_wal(report),
        restorable=report.restorable,
        rto_p50_s=_seconds(report.rto_median),
        rto_p95_s=_seconds(report.rto_p95),
        drill_due_at=report.drill_due_at,
        drills=_drills(drills),
    )


def _backup(one: Backup | None, now: datetime) -> BackupOut | None:
    if one is None:
        return None
    return BackupOut(
        id=one.id,
        data_at=one.data_at,
        kind=one.kind,
        size_bytes=one.size_bytes,
        problem=why_unusable(one, now),
        damage=one.damage,
    )


def _wal(report: StoreReport) -> WalOut | None:
    log = None if report.inventory is None else report.inventory.continuity
    return None if log is None else WalOut(ok_until=log.ok_until, gap=log.gap)


def _drills(drills: Sequence[Drill]) -> list[StoreDrillOut]:
    return [
        StoreDrillOut(
            run=one.run,
            began_at=one.began_at,
            result=one.result,
            message=one.message,
            rto_s=_seconds(one.rto),
            rpo_s=_seconds(one.rpo),
        )
        for one in drills[:MOST_DRILLS]
    ]


def _seconds(much: timedelta | None) -> float | None:
    return None if much is None else much.total_seconds()
