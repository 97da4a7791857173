"""remove-copy: a restored copy is removed, or, after a cutover, what was live before. Only ever asked for by people.

What is removed is chosen by the run in its label, never by a name alone; the engine refuses what is live.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.backups import copy_row, places, reports
from bot.core.action import Tools
from bot.core.backup import (
    BackupStore,
    Copy,
    CutoverState,
    DrillResult,
    Restorer,
    RestoreRecord,
    RestoreState,
)
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.plan import Outcome, Plan, Result
from bot.lib.text import spell_briefly, spell_moment

_NO_WAY_BACK = "no way back"  #: remembered: why the old one could not be brought back before it was removed


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalFacts:
    """What was read for a plan."""

    store: BackupStore
    engine: Restorer
    record: RestoreRecord
    old: bool  #: not the copy, which is live, but what was live before it
    copy: Copy | None  #: None: it is gone already, or `old`


def plan(run: str, tools: Tools) -> Plan:
    """Raises `Rejected`: it may not be removed."""
    found = _read(run, tools)
    record, store = found.record, found.store
    return Plan(
        target=store.name,
        effect=_effect(found),
        blast_radius=f"{'what was live before' if found.old else 'one copy'} of {store.name}",
        preconditions={
            "state": str(record.state),
            "copy": found.copy.name if found.copy else ("-" if not found.old else f"old of {record.cutover_run[:8]}"),
        },
        confirm_name=store.name,
        approvals_needed=1,
        moving=_moving(found, tools),
    )


def run(asked: str, planned: Plan, tools: Tools) -> Outcome:
    """Remove it, and look whether it is gone."""
    if plan(asked, tools) != planned:
        raise Conflict(f"what there is of run {asked[:8]} is not as the plan saw it")
    found = _read(asked, tools)
    if found.old:
        engine = places.cutover_engine_of(found.store)
        before = engine.undo_refusal(found.record.task, found.record.cutover_run)
        tools.remember({"removes": "old", _NO_WAY_BACK: before})
        engine.remove_old(found.record.task, found.record.cutover_run)
        return _judge(found, tools)
    tools.remember({"removes": "copy"})
    if found.copy is not None:
        found.engine.remove(found.copy)
    return _judge(found, tools)


def probe(asked: str, tools: Tools) -> Outcome:
    """By looking whether it is there."""
    if not tools.remembered.get("removes"):
        return Outcome(result=Result.FAILED, message="The bot was stopped before it began. Nothing was done.")
    record = copy_row.get(asked, tools)
    store = places.store_of(tools, record.task.store)
    old = tools.remembered["removes"] == "old"
    engine = places.restorer_of(store)
    before = tools.remembered.get(_NO_WAY_BACK, "")
    return _judge(RemovalFacts(store=store, engine=engine, record=record, old=old, copy=None), tools, before)


def _read(run: str, tools: Tools) -> RemovalFacts:
    record = copy_row.get(run, tools)
    store = places.store_of(tools, record.task.store)
    engine = places.restorer_of(store)
    if record.task.drill and _is_drilled(record, tools):
        raise _refused(f"Drill {record.task.short_run} runs, and removes {record.name} itself.", "drill_runs")
    if record.state is RestoreState.REMOVED or record.old_removed_at is not None:
        raise _refused(f"There is nothing left of run {record.task.short_run} to be removed.", "removed")
    old = _is_live(store, record)
    if not old:
        _refuse_kept(record, tools)
    copy = None if old else next((one for one in engine.copies() if one.run == record.task.run), None)
    return RemovalFacts(store=store, engine=engine, record=record, old=old, copy=copy)


def _is_live(store: BackupStore, record: RestoreRecord) -> bool:
    """Whether the copy is live. Raises `Rejected`: it stands half-way, and may be what clients need in a moment."""
    if not record.cutover_run or record.undone_at is not None:
        return False
    status = places.cutover_engine_of(store).look_cutover(record.task, record.cutover_run)
    if status.state is CutoverState.PARTIAL:
        short = record.task.short_run
        message = (
            f"The cutover to {record.name} stopped half-way: `cutover {short}` goes on, `cutback {short}` goes back."
        )
        raise _refused(message, "half_way")
    return status.state is CutoverState.NEW


def _refuse_kept(record: RestoreRecord, tools: Tools) -> None:
    """Refuse a copy that was live until a later cutover, and is what that one would bring back.

    The trap: it carries its own run's label still, as any copy does. Raises `Rejected`.
    """
    since = record.cut_over_at
    if since is None or record.undone_at is not None:
        return
    later = [
        (one.cut_over_at, one)
        for one in reports.backups_of(tools).records.list_restores(record.task.store)
        if one.cut_over_at is not None and one.cut_over_at > since and one.undone_at is None
    ]
    by = min(later, key=lambda pair: pair[0])[1] if later else None
    if by is not None and by.old_removed_at is None:
        message = (
            f"{record.name} is kept as the old one of the cutover by run {by.cutover_run[:8]}: "
            f"`remove-copy {by.task.short_run}` removes it."
        )
        raise _refused(message, "kept")


def _is_drilled(record: RestoreRecord, tools: Tools) -> bool:
    drills = reports.backups_of(tools).records.list_drills(record.task.store)
    return any(one.run == record.task.run and one.result is DrillResult.RUNNING for one in drills)


def _effect(found: RemovalFacts) -> tuple[str, ...]:
    record, store = found.record, found.store
    if found.old:
        kept = record.keep_old_until
        until = (f"The settings keep it until {spell_moment(kept)}, to bring it back.",) if kept else ()
        return (
            f"What was live in {store.name} before the cutover by run {record.cutover_run[:8]} is removed for good.",
            *until,
            "There is no undo: afterwards the cutover cannot be undone either.",
        )
    if found.copy is None:
        return (f"{record.name or 'The copy'} is gone already: only the bot's own row about it is closed.",)
    return (
        f"{found.copy.name} is removed for good: {store.name} restored {record.message or 'in part'}.",
        "There is no undo.",
    )


def _moving(found: RemovalFacts, tools: Tools) -> tuple[str, ...]:
    kept = found.record.keep_old_until
    if not found.old or kept is None:
        return ()
    left = kept - tools.now()
    return (
        f"that is in {spell_briefly(left)}: EARLIER than the settings say"
        if left.total_seconds() > 0
        else "that time is over",
    )


def _judge(found: RemovalFacts, tools: Tools, before: str = "") -> Outcome:
    """By looking. `before`: why there was no way back already before a call whose answer is lost; that it is lost
    still proves no removal.

    Raises:
        OutcomeUnknown: it cannot be seen.
    """
    record, store = found.record, found.store
    if found.old:
        gone = places.cutover_engine_of(store).undo_refusal(record.task, record.cutover_run)
        if not gone or gone == before:
            message = f"Nothing shows that what was live in {store.name} before was removed. Ask again."
            return Outcome(result=Result.FAILED, message=message)
        _put(replace(record, old_removed_at=tools.now()), tools)
        return Outcome(result=Result.DONE, message=f"What was live in {store.name} before the cutover is removed.")
    try:
        left = [one.name for one in found.engine.copies() if one.run == record.task.run]
    except Rejected as refused:
        raise OutcomeUnknown(refused.message) from None
    if left:
        return Outcome(
            result=Result.FAILED, message=f"{', '.join(left)} is still there. Look at {store.engine.title} why."
        )
    _put(replace(record, state=RestoreState.REMOVED), tools)
    return Outcome(result=Result.DONE, message=f"{record.name or 'The copy'} of {store.name} is removed.")


def _put(record: RestoreRecord, tools: Tools) -> None:
    tools.remember({"removes": "old" if record.old_removed_at else "copy"})
    reports.backups_of(tools).records.put_restore(record)


def _refused(message: str, code: str) -> Rejected:
    return Rejected(f"{message} Nothing was done.", code=code, status=409)
