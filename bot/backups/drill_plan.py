"""What a drill would do: the backup that it would restore, where to, what it costs; or why it cannot begin."""

from __future__ import annotations

from datetime import datetime

from bot.backups.broken_engine import BrokenEngine
from bot.backups.describe import spell_bytes
from bot.backups.drill_schedule import same_instance
from bot.backups.estimates import estimate, spell_estimate
from bot.backups.preconditions import joined
from bot.backups.reports import backups_of, store_of
from bot.core.action import Tools
from bot.core.backup import (
    Backup,
    Backups,
    BackupStore,
    DrillResult,
    Inventory,
    RestorePoint,
    RestorePreview,
    Restorer,
    RestoreState,
)
from bot.core.errors import Rejected
from bot.core.plan import Plan
from bot.lib.text import spell_duration, spell_moment

BACKUP = "backup"
#: The method of a copy that shares the live one's storage. An engine says it in `RestorePreview.facts["method"]`.
CLONE = "clone"
#: Rows that are read for the estimate.
_RECENT = 20


def drilled(name: str, backups: Backups) -> tuple[BackupStore, Restorer]:
    """The store of that name, and its engine. Raises `Rejected`: it is unknown, or cannot be restored."""
    store = store_of(backups, name)
    if isinstance(store.engine, BrokenEngine):
        store.engine.inventory()  # says why
    if not isinstance(store.engine, Restorer):
        message = (
            f"{name} is only read: {store.engine.title} restores nothing here, so it cannot be drilled. Nothing was"
            " done. Drill it with its own tool."
        )
        raise Rejected(message, code="not_restorable", status=409)
    return store, store.engine


def plan(name: str, tools: Tools) -> Plan:
    """What a drill of that store would do now. Raises `Rejected`."""
    backups = backups_of(tools)
    store, engine = drilled(name, backups)
    refuse_busy(store, backups)
    drills = backups.records.list_drills(name, _RECENT)
    inventory = engine.inventory()
    backup = newest_usable(store, inventory, tools.now() + store.rto)
    preview = engine.preview(point_of(backup, inventory), drill=True)
    size = preview.size_bytes if preview.size_bytes is not None else backup.size_bytes
    refuse_unfit(store, preview)
    return Plan(
        target=name,
        effect=tuple(_effect(store, backup, preview)),
        blast_radius="scratch alone: the live data, its clients and its backups are not touched",
        preconditions=joined(preview.preconditions, {BACKUP: backup.id}),
        lock=lock_of(name),
        moving=(spell_estimate(estimate(drills, size)), *preview.moving),
    )


def lock_of(name: str) -> str:
    """What a drill holds. It is not the store, so that a restore that a person asks for never waits for a drill."""
    return f"drill of {name}"


def newest_usable(store: BackupStore, inventory: Inventory, until: datetime) -> Backup:
    """The newest backup that can be restored from, and that does not expire before `until`. Raises `Rejected`."""
    if inventory.blockers:
        why = " ".join(inventory.blockers)
        raise Rejected(
            f"{store.name} cannot be restored as it stands: {why} Nothing was done.", code="blocked", status=409
        )
    usable = [one for one in inventory.backups if one.usable]
    if not usable:
        newest = inventory.backups[0] if inventory.backups else None
        why = f" The newest, {newest.id}: {newest.problem}." if newest else ""
        message = f"{store.name} has no usable backup.{why} Nothing was done. `backups {store.name}` shows all."
        raise Rejected(message, code="no_usable_backup", status=409)
    lasting = [one for one in usable if one.expires_at is None or one.expires_at > until]
    if not lasting:
        expires = usable[0].expires_at
        assert expires is not None, "one without an expiry lasts"
        message = (
            f"{usable[0].id}, the newest usable backup of {store.name}, expires at {spell_moment(expires)}, before a"
            " drill could end. Nothing was done. Make a backup, or keep them for longer."
        )
        raise Rejected(message, code="expires", status=409)
    return max(lasting, key=lambda one: one.data_at)


def point_of(backup: Backup, inventory: Inventory) -> RestorePoint:
    """That backup; and where there is a log, all of it, because the RPO of such a store rests on its log."""
    return RestorePoint(backup_id=backup.id, latest=inventory.window is not None)


def refuse_busy(store: BackupStore, backups: Backups, run: str = "", began_at: datetime | None = None) -> None:
    """Raises `Rejected` while a person's restore of that store goes on, or another drill on the same engine.

    Of two drills that began at once, `run` (begun at `began_at`) gives way to the one that was first.
    """
    for record in backups.records.list_restores(store.name):
        if record.state is RestoreState.INTENDED and not record.task.drill:
            message = (
                f"A restore of {store.name} goes on (run {record.task.short_run}), which goes before a drill. No drill"
                " was begun. Ask again when it has ended."
            )
            raise Rejected(message, code="restore_goes_on", status=409)
    for other in backups.stores.values():
        if not same_instance(store, other):
            continue
        for drill in backups.records.list_drills(other.name, 3):
            first = began_at is None or (drill.began_at, drill.run) < (began_at, run)
            if drill.run != run and drill.result is DrillResult.RUNNING and first:
                message = (
                    f"A drill of {other.name} goes on (run {drill.run[:8]}), and {store.engine.title} has one at a"
                    " time. No drill was begun. Ask again when it has ended."
                )
                raise Rejected(message, code="drill_goes_on", status=409)


def refuse_unfit(store: BackupStore, preview: RestorePreview) -> None:
    """Raises `Rejected` where there is no room for the copy, or where it would prove nothing."""
    if preview.facts.get("method") == CLONE:
        message = (
            f"A drill of {store.name} would clone the live data, which reads no backup and proves none. Nothing was"
            " done. Let its engine make full copies."
        )
        raise Rejected(message, code="proves_nothing", status=409)
    if preview.needs_bytes is None or preview.free_bytes is None or preview.needs_bytes <= preview.free_bytes:
        return
    message = (
        f"A drill of {store.name} needs {spell_bytes(preview.needs_bytes)}, and {spell_bytes(preview.free_bytes)} are"
        " free. Nothing was done. Make room for it."
    )
    raise Rejected(message, code="no_room", status=409)


def _effect(store: BackupStore, backup: Backup, preview: RestorePreview) -> list[str]:
    size = preview.size_bytes if preview.size_bytes is not None else backup.size_bytes
    sized = "" if size is None else f", {spell_bytes(size)}"
    checks = f"{len(store.checks)} of the settings" if store.checks else "none of the settings"
    effect = [
        (
            f"{backup.id} of {store.name} (data of {spell_moment(backup.data_at)}{sized}) is restored into scratch:"
            f" {preview.copy_name.replace('{run}', '<run>')}"
        ),
        "the copy is isolated first, and has to fail to connect to anything",
        f"it is checked: the checks of {store.engine.title}, and {checks}",
        f"it is removed in every case, after {spell_duration(store.drill.at_most)} at the latest",
        *preview.effect,
    ]
    if backup.damage:
        effect.append(f"the backup is not whole: {backup.damage}")
    if preview.facts.get("cost"):
        effect.append(f"it costs {preview.facts['cost']}")
    return effect
