"""cutover and cutback: a checked copy takes the place of the live one, and the old one is brought back.

The promise: the live one is backed up first, and that backup is looked up in the inventory, before anything is swapped;
after a crash, too. How far a swap came is read from the world, never from the row. One that stopped half-way is done
but not well: clients see it, so a person decides at once whether it goes on (`cutover` again) or back (`undo`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from bot.backups import copy_row, places, reports
from bot.backups.plan_texts import as_sentence, with_run
from bot.backups.preconditions import of_engine
from bot.backups.waiting import Reporter, wait_for
from bot.core.action import Tools
from bot.core.backup import (
    BackupStore,
    BackupTaker,
    CopyState,
    CutoverEngine,
    CutoverPreview,
    CutoverState,
    CutoverStatus,
    RestoreRecord,
    RestoreState,
)
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.plan import Outcome, Plan, Result
from bot.lib.failpoints import failpoint
from bot.lib.text import spell_briefly, spell_duration, spell_moment

#: How long the safety backup may take; else twice the promised RTO.
_AT_LEAST = timedelta(hours=6)
_CUTOVER = "cutover"  #: of a plan and of what a run leaves behind: which cutover it is about
_LIVE = "live"
_CHECKED = (RestoreState.VERIFIED, RestoreState.DAMAGED)


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoverFacts:
    """What was read for a plan."""

    store: BackupStore
    engine: CutoverEngine
    record: RestoreRecord
    status: CutoverStatus  #: of the cutover that the row names; OLD where it names none
    preview: CutoverPreview | None = None  #: None: half-way

    @property
    def half_way(self) -> bool:
        return self.status.state is CutoverState.PARTIAL


def plan(run: str, tools: Tools) -> Plan:
    """Raises `Rejected`: that copy cannot be made live."""
    return _plan_of(_read(run, tools), tools)


def _plan_of(found: CutoverFacts, tools: Tools) -> Plan:
    store, record = found.store, found.record
    seen = {"copy": record.name, **(of_engine(found.preview.preconditions) if found.preview else {})}
    seen |= {_CUTOVER: record.cutover_run} if found.half_way else {}
    return Plan(
        target=store.name,
        effect=tuple(_effect(found)),
        blast_radius=f"all clients of {store.name}",
        preconditions=seen,
        hidden=tuple(seen),  # the effect names the copy, and the rest helps nobody who reads
        undo_command=f"cutback {record.task.run}",
        confirm_name=found.preview.live if found.preview else store.name,
        approvals_needed=1,
        moving=tuple(_moving(found, tools)),
    )


def run(asked: str, planned: Plan, run: str, tools: Tools) -> Outcome:
    """The safety backup, then the swap, then a look."""
    found = _read(asked, tools)
    again = _plan_of(found, tools)
    if again != planned:
        raise Conflict(_difference(planned, again))
    record, report = found.record, Reporter(tools)
    #: One that stopped half-way goes on as the cutover that it was: its names are made of that run.
    cutover_run = record.cutover_run if found.half_way else run
    tools.remember({_CUTOVER: cutover_run})
    failpoint("cutover.remembered")
    _make_safe(found, cutover_run, tools, report)
    failpoint("cutover.safe")
    record = replace(record, cutover_run=cutover_run, cut_over_at=None, undone_at=None)
    _put(record, cutover_run, tools)
    failpoint("cutover.stored")
    trouble = ""
    try:
        found.engine.cut_over(record.task, cutover_run, report)
    except (Conflict, Rejected, OutcomeUnknown) as refused:
        trouble = refused.message
    failpoint("cutover.swapped")
    return _judge(found.store, found.engine, record, tools, trouble)


def probe(asked: str, tools: Tools) -> Outcome:
    """Which of the two is live is read from the world; the swap is not gone on with unless a person asks for it."""
    cutover_run = tools.remembered.get(_CUTOVER, "")
    if not cutover_run:
        return Outcome(result=Result.FAILED, message="The bot was stopped before the cutover began. Nothing was done.")
    record = copy_row.get(asked, tools)
    store = places.store_of(tools, record.task.store)
    engine = places.cutover_engine_of(store)
    return _judge(store, engine, replace(record, cutover_run=cutover_run, undone_at=None), tools, "")


def plan_back(run: str, tools: Tools) -> Plan:
    """Raises `Rejected`: there is no old one to bring back, or both have been written since."""
    store, engine, record = _cut_over(run, tools)
    status = engine.look_cutover(record.task, record.cutover_run)
    if status.state is CutoverState.OLD:
        raise _refused(_why_not_live(store, engine, record, tools), "is_live")
    refusal = engine.undo_refusal(record.task, record.cutover_run)
    if refusal:
        message = (
            f"The old one of {store.name} cannot be brought back: {refusal.rstrip('.')}. Nothing was done. "
            "Decide by hand which data is to be kept."
        )
        raise Rejected(message, code="no_way_back", status=409)
    half = (f"The cutover stopped half-way: {status.message}",) if status.state is CutoverState.PARTIAL else ()
    return Plan(
        target=store.name,
        effect=(
            *half,
            f"What was live in {store.name} before {record.name} is live again.",
            "Clients are shut out while the names are swapped, and have to connect again.",
            f"What was written to {store.name} since the cutover stays in {record.name}, and is not in the old one.",
        ),
        blast_radius=f"all clients of {store.name}",
        preconditions={_LIVE: record.name, _CUTOVER: record.cutover_run},
        hidden=(_LIVE, _CUTOVER),
        undo_command=f"cutover {record.task.run}",
        confirm_name=store.name,
        approvals_needed=1,
        moving=_since(record, tools),
    )


def run_back(asked: str, planned: Plan, tools: Tools) -> Outcome:
    """Bring the old one back."""
    again = plan_back(asked, tools)
    if again != planned:
        raise Conflict(_difference(planned, again))
    store, engine, record = _cut_over(asked, tools)
    tools.remember({_CUTOVER: record.cutover_run})
    failpoint("cutover.going_back")
    trouble = ""
    try:
        engine.undo_cutover(record.task, record.cutover_run, Reporter(tools))
    except (Conflict, Rejected, OutcomeUnknown) as refused:
        trouble = refused.message
    failpoint("cutover.back")
    return _judge_back(store, engine, record, tools, trouble)


def probe_back(asked: str, tools: Tools) -> Outcome:
    if not tools.remembered.get(_CUTOVER):
        return Outcome(result=Result.FAILED, message="The bot was stopped before it began. Nothing was done.")
    record = copy_row.get(asked, tools)
    store = places.store_of(tools, record.task.store)
    return _judge_back(store, places.cutover_engine_of(store), record, tools, "")


def _read(run: str, tools: Tools) -> CutoverFacts:
    """Raises `Rejected`: that copy cannot be made live."""
    record = copy_row.get(run, tools)
    store = places.store_of(tools, record.task.store)
    engine = places.cutover_engine_of(store)
    status = CutoverStatus(state=CutoverState.OLD)
    if record.cutover_run and record.undone_at is None:
        status = engine.look_cutover(record.task, record.cutover_run)
    if status.state is CutoverState.PARTIAL:
        return CutoverFacts(store=store, engine=engine, record=record, status=status)
    if status.state is CutoverState.NEW:
        raise _refused(f"{record.name} is live already, since run {record.cutover_run[:8]}.", "is_live")
    if record.state is RestoreState.LIVE:
        raise _refused(_why_not_live(store, engine, record, tools), "not_live_any_more")
    _check_state(record)
    preview = engine.preview_cutover(record.task)
    return CutoverFacts(store=store, engine=engine, record=record, status=status, preview=preview)


def _check_state(record: RestoreRecord) -> None:
    short = record.task.short_run
    if record.task.drill:
        raise _refused(f"{record.name} is the copy of a drill, and is thrown away. Ask for a `restore`.", "drill")
    if record.state not in _CHECKED:
        why = {
            RestoreState.INTENDED: "is not complete",
            RestoreState.RESTORED: "was never checked",
            RestoreState.FAILED: "was not restored",
            RestoreState.REMOVED: "was removed",
        }[record.state]
        raise _refused(f"The copy of run {short}, {record.name}, {why}. `restore` makes a new one.", "not_checked")


def _effect(found: CutoverFacts) -> Iterator[str]:
    store, record, preview = found.store, found.record, found.preview
    if preview is None:
        yield f"The cutover of {store.name} by run {record.cutover_run[:8]} stopped half-way."
        yield found.status.message or "What clients see is unknown."
        yield f"It goes on from there: {record.name} becomes the live one."
        yield "The safety backup was made before it began."
    else:
        yield f"{record.name} takes the place of {preview.live}, the live one of {store.name}."
        yield f"It was restored {record.message}; everything that was written since is not in it."
        yield as_sentence(preview.safety)
        yield f"Then writers are shut out, and {preview.live} becomes {with_run(preview.old_name)}."
        yield from map(as_sentence, preview.effect)
    bad = [one for one in record.checks if not one.ok]
    yield from (f"DAMAGED: {one.name}: expected {one.expected}, got {one.got}." for one in bad)
    yield f"The old one is kept for {spell_duration(store.keep_old)} at least, and removed only by an ask."
    yield "The undo is refused once both have been written."


def _moving(found: CutoverFacts, tools: Tools) -> Iterator[str]:
    record = found.record
    if record.finished_at is not None:
        yield f"the copy was checked {spell_briefly(tools.now() - record.finished_at)} ago"
    if found.preview is not None:
        yield from found.preview.moving


def _make_safe(found: CutoverFacts, cutover_run: str, tools: Tools, report: Reporter) -> None:
    """The safety backup of this cutover exists, and can be restored. Raises `Rejected` if not: nothing is swapped.

    Its id is made of the cutover's run: one that a process before has begun is waited for, and not begun again.
    """
    engine = found.engine
    if not isinstance(engine, BackupTaker):
        return  # Its preview says how it is safe without.
    half_way = "The cutover stays half-way" if found.half_way else "Nothing was swapped"
    waited = wait_for(
        partial(engine.look_backup, cutover_run),
        tools,
        lambda said: report(f"safety backup: {said}"),
        at_most=max(_AT_LEAST, 2 * found.store.rto),
        # Half-way there is nothing whole to be backed up.
        begin=None if found.half_way else partial(engine.begin_backup, cutover_run),
    )
    problem = waited.late or waited.status.message or "nothing of it is seen"
    if waited.status.state is CopyState.RESTORED and not waited.late:
        made = next((one for one in engine.inventory().backups if one.id == waited.status.message), None)
        if made is not None and made.usable:
            return
        problem = made.problem if made else f"{waited.status.message} is not among the backups"
    message = f"The safety backup of {found.store.name} is not there: {problem.rstrip('.')}. {half_way}."
    raise Rejected(message, code="not_safe", status=409)


def _judge(store: BackupStore, engine: CutoverEngine, record: RestoreRecord, tools: Tools, trouble: str) -> Outcome:
    """By looking. Raises `OutcomeUnknown`: it cannot be read; it is looked again later."""
    status = _looked(engine, record, trouble)
    short, cutover_run = record.task.short_run, record.cutover_run
    if status.state is CutoverState.OLD:
        why = f" {trouble}" if trouble else ""
        message = f"{store.name} is as it was: nothing was swapped.{why}"
        return Outcome(result=Result.FAILED, message=message)
    left = {_LIVE: record.name, _CUTOVER: cutover_run}
    if status.state is CutoverState.PARTIAL:
        _put(record, cutover_run, tools)
        why = f" {trouble}" if trouble else ""
        degraded = f"{status.message}{why} `cutover {short}` goes on, `cutback {short}` brings the old one back."
        message = f"The cutover of {store.name} to {record.name} stopped half-way."
        return Outcome(result=Result.DONE, message=message, degraded=degraded, expected_state=left)
    keep = tools.now() + store.keep_old
    live = replace(record, state=RestoreState.LIVE, cut_over_at=tools.now(), undone_at=None, keep_old_until=keep)
    _put(live, cutover_run, tools)
    note = f" {status.message}" if status.message else ""
    message = (
        f"{record.name} is the live one of {store.name}.{note} Look whether its clients have connected again. The "
        f"old one is kept until {spell_moment(keep)}; `remove-copy {short}` removes it."
    )
    return Outcome(result=Result.DONE, message=message, expected_state=left)


def _judge_back(
    store: BackupStore, engine: CutoverEngine, record: RestoreRecord, tools: Tools, trouble: str
) -> Outcome:
    status, short = _looked(engine, record, trouble), record.task.short_run
    why = f" {trouble}" if trouble else ""
    if status.state is CutoverState.NEW:
        return Outcome(result=Result.FAILED, message=f"{record.name} is still the live one of {store.name}.{why}")
    if status.state is CutoverState.PARTIAL:
        degraded = f"{status.message}{why} `cutback {short}` goes on, `cutover {short}` makes the copy live."
        return Outcome(result=Result.DONE, message=f"{store.name} is between the two.", degraded=degraded)
    state = RestoreState.VERIFIED if all(one.ok for one in record.checks) else RestoreState.DAMAGED
    back = replace(record, state=state, undone_at=tools.now(), keep_old_until=None)
    _put(back, record.cutover_run, tools)
    message = (
        f"What was live in {store.name} before is live again. {record.name} stays; `remove-copy {short}` removes it."
    )
    return Outcome(result=Result.DONE, message=message)


def _looked(engine: CutoverEngine, record: RestoreRecord, trouble: str) -> CutoverStatus:
    try:
        return engine.look_cutover(record.task, record.cutover_run)
    except Rejected as refused:
        raise OutcomeUnknown(" ".join(filter(None, (trouble, refused.message)))) from None


def _cut_over(run: str, tools: Tools) -> tuple[BackupStore, CutoverEngine, RestoreRecord]:
    """Raises `Rejected`: there was no cutover to that copy, or it was undone."""
    record = copy_row.get(run, tools)
    store = places.store_of(tools, record.task.store)
    if not record.cutover_run or record.undone_at is not None:
        raise _refused(f"There is no cutover to {record.name} that could be undone.", "no_cutover")
    if record.old_removed_at is not None:
        raise _refused(f"The old one of {store.name} was removed at {spell_moment(record.old_removed_at)}.", "removed")
    return store, places.cutover_engine_of(store), record


def _why_not_live(store: BackupStore, engine: CutoverEngine, record: RestoreRecord, tools: Tools) -> str:
    """Which one is live in place of a copy that was made live once, and which undo there is. Read from the world."""
    for other in reports.backups_of(tools).records.list_restores(store.name):
        if other.task.run == record.task.run or not other.cutover_run or other.undone_at is not None:
            continue
        if engine.look_cutover(other.task, other.cutover_run).state is CutoverState.OLD:
            continue
        said = f"{record.name} is not the live one of {store.name} any more: run {other.cutover_run[:8]} has put"
        said = f"{said} {other.name} in its place."
        if other.old_removed_at is not None:
            return f"{said} What was live before that was removed, so there is no undo; `restore` makes a new copy."
        short = other.task.short_run
        return f"{said} `cutback {short}` brings back what was live before that; it has to be the first undo."
    how = f"the cutover by run {record.cutover_run[:8]} does not stand any more"
    return (
        f"{record.name} is not the live one of {store.name}: {how}, and no other cutover of this bot does. Somebody has"
        " changed it by hand, or brought the old one back. There is nothing to undo; `restore` makes a new copy."
    )


def _put(record: RestoreRecord, cutover_run: str, tools: Tools) -> None:
    """As `copy_row.put`, with the note of this run."""
    tools.remember({_CUTOVER: cutover_run})
    reports.backups_of(tools).records.put_restore(record)


def _since(record: RestoreRecord, tools: Tools) -> tuple[str, ...]:
    if record.cut_over_at is None:
        return ()
    return (f"the copy has been live for {spell_briefly(tools.now() - record.cut_over_at)}",)


def _difference(planned: Plan, again: Plan) -> str:
    """What is not as the plan saw it, in words."""
    lines = [one.rstrip(".") for one in again.effect if one not in planned.effect]
    return "; ".join(lines) or f"{dict(planned.preconditions)} -> {dict(again.preconditions)}"


def _refused(message: str, code: str) -> Rejected:
    return Rejected(f"{message} Nothing was done.", code=code, status=409)
