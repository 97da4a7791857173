"""What a restore would be, found out by reading: from what, into what, what it lacks, for how long, with what room.

The promise: nothing in a plan moves by itself, so it is the same, byte for byte, in an unchanged world. Whatever moves
(elapsed time, rows, free space, the estimate of the drills) is shown beside it, and refuses the plan where it does not
suffice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.backups import places, reports, restore_points
from bot.backups.estimates import Estimate, estimate, spell_estimate
from bot.backups.preconditions import joined
from bot.backups.restore_points import PointRequest, ResolvedPoint, spell_exactly
from bot.backups.waiting import spell_bytes
from bot.core.action import Tools
from bot.core.backup import (
    BackupStore,
    Drill,
    DrillResult,
    RestorePoint,
    RestorePreview,
    Restorer,
    RestoreRecord,
    RestoreState,
    Window,
)
from bot.core.errors import Rejected
from bot.core.plan import Plan
from bot.lib.text import spell_briefly, spell_duration, spell_list

#: In these states a copy stands and takes room.
_STANDING = (RestoreState.INTENDED, RestoreState.RESTORED, RestoreState.VERIFIED, RestoreState.DAMAGED)


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreRequest:
    """As it was typed."""

    store: str
    point: PointRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class RestorePlanFacts:
    """What was read for a plan."""

    store: BackupStore
    engine: Restorer
    chosen: ResolvedPoint
    preview: RestorePreview
    drills: Sequence[Drill]
    copies: Sequence[RestoreRecord]  #: that may still exist
    window: Window | None

    @property
    def point(self) -> RestorePoint:
        """As the task has it."""
        return replace(self.chosen.point, backup_id=self.preview.backup_id)

    @property
    def estimate(self) -> Estimate:
        return estimate(self.drills, self.preview.size_bytes)

    @property
    def longest(self) -> timedelta:
        """How long it may take; what was promised, where no drill has shown it."""
        return self.estimate.at_most or self.store.rto

    @property
    def expires_at(self) -> datetime | None:
        """When something that it reads is deleted."""
        backup = self.chosen.backup
        times = [at for at in (self.preview.expires_at, backup.expires_at if backup else None) if at is not None]
        return min(times, default=None)


def read(asked: RestoreRequest, tools: Tools) -> RestorePlanFacts:
    """Read everything anew: a look of some minutes ago is good enough for a table, and not for a restore.

    Raises:
        Rejected: it cannot be restored, or there is no room, or what it reads would be deleted before its end.
    """
    backups = reports.backups_of(tools)
    store = places.store_of(tools, asked.store)
    engine = places.restorer_of(store)
    inventory = engine.inventory()
    chosen = restore_points.resolve(asked.point, inventory, tools.now())
    found = RestorePlanFacts(
        store=store,
        engine=engine,
        chosen=chosen,
        preview=engine.preview(chosen.point, drill=False),
        drills=backups.records.list_drills(store.name),
        copies=[one for one in backups.records.list_restores(store.name) if one.state in _STANDING],
        window=inventory.window,
    )
    _check_room(found)
    _check_lasts(found, tools)
    return found


def plan_of(found: RestorePlanFacts, tools: Tools) -> Plan:
    return Plan(
        target=found.store.name,
        effect=tuple(_effect(found)),
        blast_radius=f"one new copy beside {found.store.name}; the live data is not changed",
        preconditions=joined(found.preview.preconditions, {"backup": found.preview.backup_id}),
        confirm_name=found.store.name,
        approvals_needed=1,
        moving=tuple(_moving(found, tools)),
    )


def _effect(found: RestorePlanFacts) -> Iterator[str]:
    preview, store = found.preview, found.store
    yield f"{store.name} is restored beside the live one, into {preview.copy_name.replace('{run}', '<run>')}."
    size = f", {spell_bytes(preview.size_bytes)}" if preview.size_bytes is not None else ""
    yield f"From {store.engine.title}'s backup {preview.backup_id}{size}{_until(found)}."
    yield from found.chosen.notes
    if preview.data_at is None:
        yield "The copy lacks whatever is not yet in the archived log when the restore begins."
    else:
        yield f"The copy lacks everything that was written after {spell_exactly(preview.data_at)}."
    yield from preview.effect
    if preview.not_restored:
        yield f"It does not come back: {spell_list(preview.not_restored, 'and')}."
    if preview.needs_bytes is not None:
        yield f"It needs {spell_bytes(preview.needs_bytes)} of room."
    expires = found.expires_at
    if expires is not None:
        yield f"What it is restored from is deleted by its own system at {spell_exactly(expires)}."
    names = f", then {len(store.checks)} of the settings ({_names(store)})" if store.checks else ""
    yield f"Afterwards it is checked: by the engine's own checks{names}."
    yield "There is no undo, as nothing live is changed: `cutover <run>` makes it live, `remove-copy <run>` removes it."


def _until(found: RestorePlanFacts) -> str:
    data_at = found.preview.data_at
    if data_at is None:
        return ", and the log up to its end"
    if found.point.at is not None:
        return f", and the log up to {spell_exactly(data_at)}"
    return f", with the data of {spell_exactly(data_at)}"


def _moving(found: RestorePlanFacts, tools: Tools) -> Iterator[str]:
    """What is true now; it is shown, and never compared."""
    now, preview, store = tools.now(), found.preview, found.store
    if preview.data_at is not None:
        yield f"a cutover to it would lose {spell_briefly(now - preview.data_at)} of writes"
    elif found.window is not None:
        behind = spell_briefly(now - found.window.latest)
        yield f"the archived log reaches {spell_exactly(found.window.latest)}, {behind} behind"
    yield from preview.moving
    if preview.free_bytes is not None:
        yield f"{spell_bytes(preview.free_bytes)} are free"
    yield f"how long it takes: {spell_estimate(found.estimate)} The promised RTO is {spell_duration(store.rto)}."
    if any(one.result is DrillResult.RUNNING for one in found.drills):
        yield "a drill of this store runs, and is asked to stop"
    if found.copies:
        listed = ", ".join(f"{one.name} (run {one.task.short_run})" for one in found.copies[:5])
        yield f"copies of earlier restores that stand: {listed}"


def _check_room(found: RestorePlanFacts) -> None:
    needs, free = found.preview.needs_bytes, found.preview.free_bytes
    if needs is not None and free is not None and free < needs:
        message = (
            f"There is no room for a copy of {found.store.name}: it needs {spell_bytes(needs)}, and "
            f"{spell_bytes(free)} are free. Nothing was done. Make room, or remove an older copy with `remove-copy`."
        )
        raise Rejected(message, code="no_room", status=409)


def _check_lasts(found: RestorePlanFacts, tools: Tools) -> None:
    expires = found.expires_at
    if expires is None or expires > tools.now() + found.longest:
        return
    why = "the slowest of its drills" if found.estimate.at_most else "its promised RTO, as there is no drill yet"
    message = (
        f"Backup {found.preview.backup_id} is deleted by its own system at {spell_exactly(expires)}, and a restore may "
        f"take {spell_briefly(found.longest)} ({why}). Nothing was done. Keep it longer there, or choose a newer one."
    )
    raise Rejected(message, code="expires", status=409)


def _names(store: BackupStore) -> str:
    return ", ".join(one.name for one in store.checks)
