"""Builds the periodic work on backups that drills need: their schedule, sentinels, and the reaper."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from bot.alerts import internal
from bot.app.build_chatops import ChatOps, Take
from bot.app.scheduler import on_own_thread
from bot.backups import drill_tick, reaper
from bot.backups.drill_tick import DrillTick
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


def drill_ticks(store: Store, chatops: ChatOps, take: Take, meters: Metrics) -> tuple[Tick, ...]:
    """None without a store of backups. Each kind of work has a thread: engines are asked, and may not answer."""
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
    return (
        (on_own_thread("drills", _each(drills.look_after, stores)), drill_tick.EVERY_S),
        (on_own_thread("sentinels", _each(drills.keep_sentinel, stores)), drill_tick.EVERY_S),
        (on_own_thread("validators", _each(partial(validate_drills, records), stores)), _VALIDATE_EVERY_S),
        (on_own_thread("reaper", _each(reaps.look_after, stores)), reaper.EVERY_S),
    )


def _each(work: Callable[[BackupStore], object], stores: Mapping[str, BackupStore]) -> list[Callable[[], object]]:
    """For each store by itself. Its engine is made there, on the thread of the work."""
    return [partial(_one, work, stores, name) for name in stores]


def _one(work: Callable[[BackupStore], object], stores: Mapping[str, BackupStore], name: str) -> None:
    work(stores[name])


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
