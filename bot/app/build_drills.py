"""Builds the periodic work on backups that drills need: their schedule, sentinels, the reaper, and late restores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

from bot.alerts import internal
from bot.app.build_chatops import ChatOps, Take
from bot.app.store_work import StoreWork, WorkKind
from bot.backups import drill_tick, late_restores, reaper
from bot.backups.drill_tick import DrillTick
from bot.backups.freshness import GONE
from bot.backups.late_restores import LateRestores
from bot.backups.reaper import Reaper
from bot.core.alert import Alert, AlertBatch
from bot.core.backup import BackupStore, Drill, DrilledElsewhere
from bot.core.errors import OutcomeUnknown, Rejected
from bot.lib.metrics import Metrics
from bot.store.backup_rows import StoredBackupRecords
from bot.store.engine import Store

#: A function to call, and the seconds between two calls.
Tick = tuple[Callable[[], object], int]

logger = logging.getLogger(__name__)

#: AWS waits for a result for at least an hour.
_VALIDATE_EVERY_S = 300

_DRILLS = WorkKind(
    thread="drills",
    alert="DrillScheduleHangs",
    unknown="whether it is drilled, and how its drills end,",
    limit=timedelta(minutes=15),
)
_SENTINELS = WorkKind(
    thread="sentinels",
    alert="SentinelHangs",
    unknown="how much a restore would lose",
    limit=timedelta(minutes=15),
)
#: A validation reads a whole copy.
_VALIDATORS = WorkKind(
    thread="validators",
    alert="DrillValidationHangs",
    unknown="how the drills of its own system end",
    limit=timedelta(hours=6),
)
_LATE = WorkKind(
    thread="late-restores",
    alert="RestoreChecksHang",
    unknown="how restores that outlasted their run end",
    limit=timedelta(hours=6),
)
_REAPER = WorkKind(
    thread="reaper",
    alert="DrillReaperHangs",
    unknown="whether copies of drills are left behind",
    limit=timedelta(minutes=30),
)


def drill_ticks(store: Store, chatops: ChatOps, take: Take, meters: Metrics) -> tuple[Tick, ...]:
    """None without a store of backups. Each kind of work has a thread a store: its engine may not answer."""
    if chatops.backups is None:
        return ()
    records, stores = StoredBackupRecords(store), chatops.backups.stores
    give = partial(_give, take)
    firing = partial(_firing, store)
    drills = DrillTick(
        records=records,
        now=store.now,
        begin=chatops.dispatcher.run_scheduled,
        take=give,
        firing=firing,
        messengers=chatops.messengers,
        observe=partial(_count, meters),
    )
    reaps = Reaper(records=records, now=store.now, take=give, firing=firing)
    late = LateRestores(records=records, now=store.now, take=give, firing=firing)

    def each(kind: WorkKind, work: Callable[[BackupStore], object]) -> Callable[[], None]:
        return StoreWork(kind=kind, work=work, stores=stores, now=store.now, take=give, firing=firing).tick

    return (
        (each(_DRILLS, drills.look_after), drill_tick.EVERY_S),
        (each(_SENTINELS, drills.keep_sentinel), drill_tick.EVERY_S),
        (each(_VALIDATORS, partial(validate_drills, records)), _VALIDATE_EVERY_S),
        (each(_LATE, late.look_after), late_restores.EVERY_S),
        (each(_REAPER, reaps.look_after), reaper.EVERY_S),
        (partial(end_of_removed_stores, stores, store.now, give, firing), reaper.EVERY_S),
    )


def end_of_removed_stores(
    stores: Collection[str],
    now: Callable[[], datetime],
    take: Callable[[AlertBatch], object],
    firing: Callable[[str], Sequence[Alert]],
) -> None:
    """End what fires about the drills of stores that are not in the settings any more: nothing else would."""
    for alert in firing(internal.drill_group("")):
        if alert.labels.get("store") not in stores:
            take(internal.ended(alert, now(), GONE))


def validate_drills(records: StoredBackupRecords, store: BackupStore) -> None:
    """Keep the rows of drills that the store's own system makes. Two replicas write the same rows."""
    if isinstance(store.engine, DrilledElsewhere):
        try:
            for drill in store.engine.validate_drills(store.checks):
                records.put_drill(drill)
        except (Rejected, OutcomeUnknown) as down:
            logger.warning("drills of its own system are not read", extra={"store": store.name, "why": down.message})


def _count(meters: Metrics, drill: Drill) -> None:
    meters.drills_total.labels(drill.store, str(drill.result)).inc()


def _give(take: Take, batch: AlertBatch) -> None:
    """What is not stored is raised again by the next tick: it is not among those that fire."""
    take(batch, lambda _: None)


def _firing(store: Store, group: str) -> list[Alert]:
    with store.read() as reading:
        return reading.firing_in_groups(internal.OWN, group)
