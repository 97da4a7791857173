"""restore: a copy beside the live data, from a backup or a moment, followed until it is complete, and then checked.

The promise: one copy for each run, or none. The row and the note of the run are stored before the engine is asked, and
it is asked once; whoever comes after a crash finds the copy by the run's id, and only looks. Nothing live is changed: a
copy that fails its checks stays for people to look at, and is done but not well; a restore without a copy has failed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from bot.backups import copy_row, places, reports, restore_plan
from bot.backups.restore_plan import RestorePlanFacts, RestoreRequest
from bot.backups.restore_points import spell_exactly
from bot.backups.waiting import Reporter, Waited, wait_for
from bot.core.action import Tools
from bot.core.backup import BackupStore, CheckResult, CopyState, Restorer, RestoreRecord, RestoreState, RestoreTask
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.core.plan import Outcome, Plan, Result
from bot.lib.failpoints import failpoint
from bot.lib.text import spell_duration

#: The least time that a restore gets; else twice its promised RTO, or three times its slowest drills.
_AT_LEAST = timedelta(hours=12)
#: How often the verification is asked for while its engine does not answer, and how long after each other.
_VERIFICATIONS = 5
_BETWEEN = timedelta(minutes=1)
_UNTOUCHED = " The live data is as it was."


def plan(asked: RestoreRequest, tools: Tools) -> Plan:
    """Raises `Rejected`: it cannot be restored so."""
    return restore_plan.plan_of(restore_plan.read(asked, tools), tools)


def run(asked: RestoreRequest, planned: Plan, run: str, tools: Tools) -> Outcome:
    """Ask the engine once, wait, and check."""
    found = restore_plan.read(asked, tools)
    again = restore_plan.plan_of(found, tools)
    if again != planned:
        raise Conflict(_difference(planned, again))
    task = RestoreTask(run=run, store=found.store.name, point=found.point, facts=found.preview.facts)
    name = found.preview.copy_name.replace("{run}", task.short_run)
    record = copy_row.put(RestoreRecord(task=task, began_at=tools.now(), name=name), tools)
    failpoint("restore.stored")
    records = reports.backups_of(tools).records
    stopped = records.ask_abort(found.store.name, f"{found.store.name} is restored by run {task.short_run}")
    try:
        copy_row.check_ours(record, tools)  # Right before the call: its process may have been frozen until now.
        failpoint("restore.asking")
        waited = wait_for(
            partial(found.engine.look, task),
            tools,
            report := Reporter(tools),
            at_most=_patience(found),
            begin=partial(found.engine.begin, task),
        )
    except (Conflict, Rejected) as refused:
        records.put_restore(_ended(record, RestoreState.FAILED, refused.message, tools))
        raise
    outcome = _judge(found.store, found.engine, record, waited, report)
    note = f" Drill {stopped[:8]} was asked to stop for it." if stopped else ""
    return replace(outcome, message=f"{outcome.message}{note}")


def probe(run: str, tools: Tools) -> Outcome:
    """Go on where the row says that the process of the run stopped. Nothing is begun."""
    record = copy_row.find(run, tools)
    if record is None:
        return Outcome(result=Result.FAILED, message="The bot was stopped before the restore began. Nothing was done.")
    store = places.store_of(tools, record.task.store)
    engine, report = places.restorer_of(store), Reporter(tools)
    if record.state is RestoreState.INTENDED:
        patience = max(_AT_LEAST, 2 * store.rto)  # The deadline that the run had counts.
        look = partial(engine.look, record.task)
        waited = wait_for(look, tools, report, at_most=patience, asked_at=record.began_at)
        return _judge(store, engine, record, waited, report)
    if record.state is RestoreState.RESTORED:
        return _verify(store, engine, record, report)
    if record.state is RestoreState.FAILED:
        return Outcome(result=Result.FAILED, message=record.message)
    return _outcome(store, record)


def _judge(store: BackupStore, engine: Restorer, record: RestoreRecord, waited: Waited, report: Reporter) -> Outcome:
    """What the wait has come to."""
    tools, status = report.tools, waited.status
    if waited.late:
        return _late(record, waited, tools)
    if status.state is CopyState.RESTORED:
        took = max(timedelta(0), tools.now() - record.began_at)  # the clock may have been set back
        data_at = status.data_at or record.task.point.at
        message = f"with the data of {spell_exactly(data_at)}" if data_at else "with the data of its backup"
        restored = replace(record, state=RestoreState.RESTORED, restore_time=took, message=message)
        copy_row.put(restored, tools)
        failpoint("restore.restored")
        return _verify(store, engine, restored, report)
    if status.state is CopyState.FAILED:
        why = status.message.rstrip(".") or "its system does not say why"
        message = (
            f"The restore of {store.name} failed: {why}.{_UNTOUCHED} What there is of {record.name} stays for you to "
            f"look at; `remove-copy {record.task.short_run}` removes it."
        )
    else:
        message = f"Nothing of {record.name} exists: the restore of {store.name} never began, or somebody removed it."
        message += f"{_UNTOUCHED} Ask again for a new one."
    copy_row.put(_ended(record, RestoreState.FAILED, message, tools), tools)
    return Outcome(result=Result.FAILED, message=message)


def _late(record: RestoreRecord, waited: Waited, tools: Tools) -> Outcome:
    """It goes on, and nobody waits for it any more. Raises `OutcomeUnknown`: it cannot even be read."""
    reason = f"The copy is not complete: {waited.late}"
    copy_row.put(replace(record, message=reason), tools)  # By its message it is found again: `late_restores`.
    if waited.status.state is CopyState.ABSENT:
        raise OutcomeUnknown(f"{waited.late}; {waited.status.message or 'nothing of it is seen'}")
    short = record.task.short_run
    message = f"{record.name} is still being restored by its own system, and was not checked.{_UNTOUCHED}"
    then = (
        f"Look there why. The bot checks it when it is complete, and `backups {record.task.store}` names it;"
        f" `remove-copy {short}` removes it once it has ended."
    )
    return Outcome(result=Result.DONE, message=message, degraded=f"{reason}. {then}")


def _verify(store: BackupStore, engine: Restorer, record: RestoreRecord, report: Reporter) -> Outcome:
    tools = report.tools
    failpoint("restore.checking")
    results, problem = _checked(store, engine, record, report)
    failpoint("restore.checked")
    if problem:
        copy_row.put(replace(record, finished_at=tools.now()), tools)
        reason = (
            f"The copy was not checked: {problem.rstrip('.')}. Do not use it before you have looked at it yourself."
        )
        message = f"{_what(store, record)}{_UNTOUCHED}"
        return Outcome(result=Result.DONE, message=message, degraded=reason)
    state = RestoreState.VERIFIED if all(one.ok for one in results) else RestoreState.DAMAGED
    ended = replace(_ended(record, state, record.message, tools), checks=tuple(results))
    copy_row.put(ended, tools)
    return _outcome(store, ended)


def _checked(
    store: BackupStore, engine: Restorer, record: RestoreRecord, report: Reporter
) -> tuple[tuple[CheckResult, ...], str]:
    """The results, or why there are none after some tries."""
    problem = ""
    for attempt in range(_VERIFICATIONS):
        if attempt:
            report.tools.pause(_BETWEEN)
        try:
            results = tuple(engine.verify(record.task, store.checks, lambda said: report(f"checking: {said}")))
        except (Rejected, OutcomeUnknown) as refused:
            problem = refused.message.removesuffix(" Nothing was done.")
            report(f"it cannot be checked now: {problem}")
        else:
            return (results, "") if results else ((), "there is no check, neither of the engine nor of the settings")
    return (), problem


def _outcome(store: BackupStore, record: RestoreRecord) -> Outcome:
    """Of a copy that was checked."""
    short = record.task.short_run
    bad = [one for one in record.checks if not one.ok]
    message = f"{_what(store, record)}{_UNTOUCHED} {_of_checks(store, record)}"
    if record.state is RestoreState.REMOVED:
        return Outcome(result=Result.DONE, message=f"{message} It was removed since.")
    if bad:
        found = "; ".join(f"{one.name}: expected {one.expected}, got {one.got}" for one in bad)
        return Outcome(
            result=Result.DONE,
            message=message,
            degraded=f"The copy is damaged: {found}. Restore an older backup, or `remove-copy {short}`.",
        )
    then = f"`cutover {short}` makes it live, `remove-copy {short}` removes it."
    return Outcome(result=Result.DONE, message=f"{message} {then}")


def _of_checks(store: BackupStore, record: RestoreRecord) -> str:
    """How many hold, and what those of the settings have found; of the others, what is wrong is said where it is."""
    ours = {one.name for one in store.checks}
    found = "; ".join(f"{one.name}: {one.got}" for one in record.checks if one.ok and one.name in ours)
    hold = sum(one.ok for one in record.checks)
    return f"{hold} of {len(record.checks)} checks hold{f' ({found})' if found else ''}."


def _what(store: BackupStore, record: RestoreRecord) -> str:
    """What was restored, and the time that it took so far."""
    times = [f"restored in {spell_duration(record.restore_time)}"] if record.restore_time else []
    if record.finished_at is not None:
        times.append(f"checked after {spell_duration(record.finished_at - record.began_at)}")
    taken = f"{' and '.join(times)}; the promised RTO is {spell_duration(store.rto)}"
    return f"{store.name} is restored into {record.name}, {record.message} ({taken})."


def _ended(record: RestoreRecord, state: RestoreState, message: str, tools: Tools) -> RestoreRecord:
    return replace(record, state=state, message=message, finished_at=tools.now())


def _patience(found: RestorePlanFacts) -> timedelta:
    return max(_AT_LEAST, 2 * found.store.rto, 3 * found.longest)


def _difference(planned: Plan, again: Plan) -> str:
    """What is not as the plan saw it, in words."""
    lines = [one for one in again.effect if one not in planned.effect]
    names = sorted({*planned.preconditions, *again.preconditions})
    lines += [
        f"{name}: {planned.preconditions.get(name, '-')} -> {again.preconditions.get(name, '-')}"
        for name in names
        if planned.preconditions.get(name) != again.preconditions.get(name)
    ]
    return "; ".join(one.rstrip(".") for one in lines) or "the plan is another one"
