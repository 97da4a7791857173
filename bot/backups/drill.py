"""A drill: the newest usable backup restored into scratch, checked, and removed again. The proof that it restores.

The promise: the row of a drill is stored before the engine is called, and says what became of it; its copy is removed
in every ending, by its label; and no drill is begun twice for one run. After a crash the drill goes on by looking: a
copy that exists is waited for and checked, one that does not is not asked for again.

Times count from the run's start, as in a disaster from the decision to restore. `rto` ends when all data was read;
teardown is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.backups.beside import Beside
from bot.backups.drill_course import TEARDOWN, DrillCourse, DrillEnded
from bot.backups.drill_plan import BACKUP, drilled, newest_usable, point_of, refuse_busy, refuse_unfit
from bot.backups.drill_schedule import due
from bot.backups.ownership import SKEW, tear_down
from bot.backups.preconditions import joined
from bot.backups.reports import backups_of
from bot.core.action import Tools
from bot.core.backup import (
    BackupRecords,
    BackupStore,
    CheckResult,
    CopyStatus,
    Drill,
    DrillResult,
    RestorePoint,
    RestorePreview,
    Restorer,
    RestoreRecord,
    RestoreState,
    RestoreTask,
    SentinelEngine,
)
from bot.core.errors import Conflict, Rejected
from bot.core.plan import Outcome, Plan, Result
from bot.lib.failpoints import failpoint
from bot.lib.text import spell_duration

#: So long after its deadline a drill's copy may be removed by the reaper, whatever its row says.
EXPIRES_AFTER = timedelta(hours=1)
_CLOSED_AS = {
    DrillResult.PASSED: RestoreState.VERIFIED,
    DrillResult.DAMAGED: RestoreState.DAMAGED,
}


def run(name: str, plan: Plan, run_id: str, tools: Tools) -> Outcome:
    """Drill it. Whatever happens, the row says how it ended, and the copy is removed.

    Raises:
        Rejected, Conflict: it was not begun.
    """
    backups = backups_of(tools)
    store, engine = drilled(name, backups)
    began_at = tools.now()
    if tools.by is not None and not tools.by.human:
        _refuse_second(store, backups.records, began_at)
    drill = Drill(
        run=run_id, store=name, engine=store.engine_name, began_at=began_at, backup_id=plan.preconditions[BACKUP]
    )
    backups.records.put_drill(drill)
    failpoint("drill.stored")
    try:
        refuse_busy(store, backups, run_id, began_at)
        drill, point, preview = _found_again(store, engine, drill, plan, tools)
        tools.remember({"drill": name})  # the last thing before the engine is called: raises if the run was given up
    except Rejected as refused:
        return _missed(backups.records, drill, refused.message, tools)
    except Conflict as moved:
        return _missed(backups.records, drill, f"It has changed meanwhile: {moved.message}.", tools)
    task = RestoreTask(
        run=run_id,
        store=name,
        point=point,
        drill=True,
        expires_at=began_at + store.drill.at_most + EXPIRES_AFTER,
        facts=preview.facts,
    )
    copy = preview.copy_name.replace("{run}", task.short_run)
    backups.records.put_restore(RestoreRecord(task=task, began_at=began_at, name=copy))
    course = _course(store, engine, task, drill, tools)
    course.put(drill)
    failpoint("drill.asking")
    return _to_its_end(course, Beside(lambda: engine.begin(task), "drill-begin"))


def probe(name: str, run_id: str, tools: Tools) -> Outcome:
    """Go on with a drill whose process died, by looking; it is not begun again."""
    backups = backups_of(tools)
    store, engine = drilled(name, backups)
    drill = next((one for one in backups.records.list_drills(name) if one.run == run_id), None)
    if drill is None:
        return Outcome(result=Result.FAILED, message=f"The drill of {name} did not begin. Nothing was made.")
    try:
        record = backups.records.get_restore(run_id)
    except Rejected:
        if drill.result is not DrillResult.RUNNING:
            return outcome_of(drill)
        return _missed(backups.records, drill, "The bot was interrupted before the restore was asked for.", tools)
    if drill.finished_at is not None:
        return outcome_of(drill)
    course = _course(store, engine, record.task, drill, tools)
    if drill.result is not DrillResult.RUNNING:  # it was cut off in its teardown
        return _torn_down(course)
    return _to_its_end(course, None)


def stop(name: str, by: str, tools: Tools) -> Outcome:
    """Ask the drill of that store that goes on to stop."""
    backups = backups_of(tools)
    drilled(name, backups)
    stopped = backups.records.ask_abort(name, f"{by} asked for it")
    if not stopped:
        raise Rejected(f"No drill of {name} goes on. Nothing was done.", code="no_drill", status=409)
    message = f"The drill of {name} (run {stopped[:8]}) was asked to stop; it removes its copy first."
    return Outcome(result=Result.DONE, message=message)


def outcome_of(drill: Drill) -> Outcome:
    """A drill that did not pass has changed nothing either: its run has failed."""
    left = f" Left behind: {'; '.join(drill.leftovers)}." if drill.leftovers else ""
    took = "" if drill.rto is None else f" RTO {spell_duration(drill.rto)}."
    lost = "" if drill.rpo is None else f" RPO {spell_duration(drill.rpo)}."
    said = f"Drill of {drill.store} from {drill.backup_id}: {drill.result}.{took}{lost}"
    message = f"{said} {drill.message}".rstrip() + left
    passed = drill.result is DrillResult.PASSED
    return Outcome(result=Result.DONE if passed else Result.FAILED, message=message)


def _course(store: BackupStore, engine: Restorer, task: RestoreTask, drill: Drill, tools: Tools) -> DrillCourse:
    until, records = tools.deadline(drill.began_at + store.drill.at_most), backups_of(tools).records
    return DrillCourse(store=store, engine=engine, task=task, drill=drill, records=records, tools=tools, deadline=until)


def _refuse_second(store: BackupStore, records: BackupRecords, now: datetime) -> None:
    """Of two replicas whose clocks strike at once, the second holds the drill when the first has ended.

    Raises:
        Rejected: its schedule asks for no drill any more.
    """
    drills = records.list_drills(store.name)
    if not due(store.name, store.drill, drills, since=now - timedelta(days=1), now=now).begin:
        message = f"{store.name} has had its drill in this window. Nothing was done."
        raise Rejected(message, code="not_due", status=409)


def _found_again(
    store: BackupStore, engine: Restorer, drill: Drill, plan: Plan, tools: Tools
) -> tuple[Drill, RestorePoint, RestorePreview]:
    """The backup of the plan, which may have expired since, or lost what it needs; and the row with what it is.

    Raises:
        Conflict, Rejected: it cannot be restored any more.
    """
    wanted, inventory = drill.backup_id, engine.inventory()
    backup = next((one for one in inventory.backups if one.id == wanted), None)
    if backup is None:
        raise Conflict(f"backup {wanted} is gone")
    if not backup.usable:
        raise Conflict(f"backup {wanted} is not usable any more: {backup.problem.rstrip('.')}")
    newest_usable(store, replace(inventory, backups=(backup,)), tools.now() + store.rto)
    point = point_of(backup, inventory)
    preview = engine.preview(point, drill=True)
    refuse_unfit(store, preview)
    for key, value in joined(preview.preconditions, {BACKUP: wanted}).items():
        if plan.preconditions.get(key) != value:
            raise Conflict(f"{key}: {plan.preconditions.get(key, 'nothing')} -> {value}")
    reached = inventory.window.latest if point.latest and inventory.window else preview.data_at or backup.data_at
    facts = preview.facts
    found = replace(
        drill,
        data_at=reached,
        size_bytes=preview.size_bytes if preview.size_bytes is not None else backup.size_bytes,
        scope=facts.get("scope", ""),
        method=facts.get("method", "full"),
        cost=facts.get("cost", ""),
        version=facts.get("version", ""),
    )
    return found, point, preview


def _missed(records: BackupRecords, drill: Drill, reason: str, tools: Tools) -> Outcome:
    ended = replace(drill, result=DrillResult.MISSED, message=reason, finished_at=tools.now())
    records.put_drill(ended)
    return outcome_of(ended)


def _to_its_end(course: DrillCourse, begun: Beside[None] | None) -> Outcome:
    """Restore, checks, verdict; and then teardown, whatever came of them."""
    try:
        status = course.restore(begun)
        _note_restored(course, status)
        failpoint("drill.restored")
        course.prove_isolation()
        results = list(course.verify())
        found, newest = course.find_sentinel(course.drill.data_at or course.drill.began_at)
        course.check()
        failpoint("drill.checked")
        _judge(course, [*results, *([found] if found else [])], status, newest)
    except DrillEnded as over:
        course.leave()
        course.put(replace(course.drill, result=over.result, message=over.message))
    return _torn_down(course, begun)


def _note_restored(course: DrillCourse, status: CopyStatus) -> None:
    now = course.tools.now()
    course.leave(status.bytes_done if status.bytes_done is not None else status.bytes_total)
    course.put(replace(course.drill, restored_at=course.drill.restored_at or now))
    record = course.records.get_restore(course.task.run)
    took = record.restore_time or course.since_begin()
    course.records.put_restore(replace(record, state=RestoreState.RESTORED, restore_time=took))


def _judge(course: DrillCourse, results: Sequence[CheckResult], status: CopyStatus, newest: datetime | None) -> None:
    """Store the verdict, before the teardown. A sentinel that is lost means that the backup lacks data: FAILED."""
    course.leave()
    drill = course.drill
    wrong = [one for one in results if not one.ok]
    lost = [one for one in wrong if one.name == "sentinel"]
    verdict = DrillResult.FAILED if lost else DrillResult.DAMAGED if wrong else DrillResult.PASSED
    message = " ".join(f"{one.name}: expected {one.expected}, got {one.got}." for one in wrong)
    # A moment that has not come yet proves nothing, least of all an RPO of zero.
    latest = course.tools.now() + SKEW
    evidence = [at for at in (newest, status.data_at) if at is not None and at <= latest] or [
        drill.data_at or drill.began_at
    ]
    course.put(
        replace(
            drill,
            result=verdict,
            message=message,
            checks=tuple(results),
            rto=course.since_begin(),
            rpo=max(timedelta(0), drill.began_at - max(evidence)),
        )
    )
    if verdict is DrillResult.PASSED:
        late = _promise_broken(course)
        if late:
            course.put(replace(course.drill, message=late))
    record = course.records.get_restore(course.task.run)
    state = _CLOSED_AS.get(verdict, RestoreState.FAILED)
    course.records.put_restore(replace(record, state=state, checks=tuple(results)))


def _promise_broken(course: DrillCourse) -> str:
    """It restores, and not as fast, or not from as recent data, as is promised."""
    drill, store = course.drill, course.store
    said = []
    if drill.rto is not None and drill.rto > store.rto:
        said.append(f"It took longer than the RTO of {spell_duration(store.rto)}.")
    if drill.rpo is not None and drill.rpo > store.rpo:
        said.append(f"Its data is older than the RPO of {spell_duration(store.rpo)}.")
    return " ".join(said)


def _torn_down(course: DrillCourse, begun: Beside[None] | None = None) -> Outcome:
    """Remove the copy. The verdict is stored already; the row is finished with what is left behind."""
    failpoint("drill.judged")
    course.enter(TEARDOWN)
    left = tear_down(course.engine, course.task.run, course.drill.began_at, course.tools)
    if begun is not None and not begun.ended():
        # The engine's call goes on, and may still make something: the reaper looks again.
        left = (*left, "the engine's call has not ended, and its copy may appear yet")
    failpoint("drill.removed")
    course.leave()
    record = course.records.get_restore(course.task.run)
    state = record.state if left else RestoreState.REMOVED
    now = course.tools.now()
    course.records.put_restore(replace(record, state=state, message="; ".join(left), finished_at=now))
    course.put(replace(course.drill, leftovers=left, finished_at=now))
    return outcome_of(course.drill)


def write_sentinel(store: BackupStore, records: BackupRecords, token: str, now: Callable[[], datetime]) -> None:
    """Write a token to the store, and note it once it is there. Raises `Rejected`: it is not there."""
    assert isinstance(store.engine, SentinelEngine), "asked of a store that can carry none"
    store.engine.write_sentinel(token)
    records.put_sentinel(store.name, token, now())
