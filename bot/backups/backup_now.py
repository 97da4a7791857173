"""backup: one made now, waited for, and looked up among those that can be restored.

The trap: "completed" is the word of the tool that made it. It counts only once the inventory judges it usable.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from bot.backups import places, reports
from bot.backups.restore_points import spell_exactly
from bot.backups.waiting import Reporter, Waited, spell_bytes, wait_for
from bot.core.action import Tools
from bot.core.backup import BackupStore, BackupTaker, CopyState
from bot.core.errors import OutcomeUnknown
from bot.core.plan import Outcome, Plan, Result
from bot.lib.failpoints import failpoint
from bot.lib.text import spell_briefly

#: How long it may take; else twice the promised RTO.
_AT_LEAST = timedelta(hours=6)
_ASKED_AT = "asked at"  #: remembered for the probe


def plan(name: str, tools: Tools) -> Plan:
    """Raises `Rejected`: its engine makes no backups, or cannot be read."""
    store = places.store_of(tools, name)
    taker = places.taker_of(store)
    usable = [one for one in taker.inventory().backups if one.usable]
    newest = usable[0] if usable else None
    moving = []
    if newest is not None:
        moving.append(f"the newest usable one, {newest.id}, is {spell_briefly(tools.now() - newest.data_at)} old")
        if newest.duration is not None:
            moving.append(f"it took {spell_briefly(newest.duration)}")
    return Plan(
        target=store.name,
        effect=(
            f"A backup of {store.name} is made now with {store.engine.title}, and looked up among the usable ones.",
            "It costs the store some of its disk and network meanwhile.",
            "There is no undo: the bot never deletes backups, and the rules of their system do in time.",
        ),
        blast_radius=f"one more backup of {store.name}",
        lock=f"backups of {store.name}",  # A restore goes on beside for hours, and is no reason to have no backup.
        moving=tuple(moving) or ("there is no usable backup",),
    )


def run(name: str, run: str, tools: Tools) -> Outcome:
    """Ask for it once, wait, and look it up."""
    store = places.store_of(tools, name)
    taker = places.taker_of(store)
    tools.remember({_ASKED_AT: tools.now().isoformat()})
    failpoint("backup.asking")
    return _judge(store, taker, _waited(store, taker, run, tools, begin=partial(taker.begin_backup, run)), tools)


def probe(name: str, run: str, tools: Tools) -> Outcome:
    """Go on waiting. Nothing is begun."""
    if not tools.remembered.get(_ASKED_AT):
        return Outcome(result=Result.FAILED, message="The bot was stopped before the backup began. Nothing was done.")
    store = places.store_of(tools, name)
    taker = places.taker_of(store)
    asked_at = datetime.fromisoformat(tools.remembered[_ASKED_AT])
    return _judge(store, taker, _waited(store, taker, run, tools, asked_at=asked_at), tools)


def _waited(
    store: BackupStore,
    taker: BackupTaker,
    run: str,
    tools: Tools,
    *,
    begin: Callable[[], None] | None = None,
    asked_at: datetime | None = None,
) -> Waited:
    patience, look = max(_AT_LEAST, 2 * store.rto), partial(taker.look_backup, run)
    return wait_for(look, tools, Reporter(tools), at_most=patience, begin=begin, asked_at=asked_at)


def _judge(store: BackupStore, taker: BackupTaker, waited: Waited, tools: Tools) -> Outcome:
    status = waited.status
    if waited.late:
        if status.state is CopyState.ABSENT:
            raise OutcomeUnknown(f"{waited.late}; {status.message or 'nothing of it is seen'}")
        message = f"The backup of {store.name} is still being made by its own system."
        return Outcome(result=Result.DONE, message=message, degraded=f"It is not complete: {waited.late}.")
    if status.state is CopyState.FAILED:
        why = status.message.rstrip(".") or "its system does not say why"
        return Outcome(result=Result.FAILED, message=f"The backup of {store.name} failed: {why}.")
    if status.state is CopyState.ABSENT:
        return Outcome(result=Result.FAILED, message=f"No backup of {store.name} was begun. Ask again.")
    made = next((one for one in taker.inventory().backups if one.id == status.message), None)
    reports.look_again(reports.backups_of(tools), store, tools.now)
    if made is None or not made.usable:
        problem = made.problem.rstrip(".") if made else "it is not among the backups of the store"
        message = f"Backup {status.message} of {store.name} was made."
        return Outcome(result=Result.DONE, message=message, degraded=f"It cannot be restored: {problem}.")
    size = f", {spell_bytes(made.size_bytes)}" if made.size_bytes is not None else ""
    message = f"Backup {made.id} of {store.name} is made{size}, with the data of {spell_exactly(made.data_at)}."
    return Outcome(result=Result.DONE, message=f"{message} It counts as usable; a `drill` shows whether it restores.")
