"""When a store is drilled: due by its interval, in its windows, at a moment of its own. Pure.

The promise: a store is drilled once at most in each opening of its windows, never twice by a clock change, and never
left out by one. An opening in which a drill was due and none began is missed, which is a result of its own: absence of
success is what alarms.

The trap: an interval of a week and a window of an hour meet only where the interval is not counted to the second. So
what is asked is whether the next opening would be too late.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.backup import BackupStore, Drill, DrillResult, DrillRules
from bot.lib.text import spell
from bot.lib.time_windows import Opening, has_no_end, open_until, openings

#: A local time moves by so much, clock changes included, without a drill becoming due an opening earlier; and a row
#: that is further in the time to come was written by a clock that was wrong.
_TOLERANCE = timedelta(hours=2)
#: Stores begin at moments of their own within this, and within the first half of an opening.
_SPREAD = timedelta(minutes=30)
#: How far back a missed opening is looked for, and ahead the next one: windows are weekly.
_HORIZON = timedelta(days=16)
#: Without windows, a drill that is due and cannot begin for so long is missed; at most its interval.
_PATIENCE = timedelta(days=1)
#: These say nothing about the backup, so the interval is not counted from them.
_SAYS_NOTHING = (DrillResult.MISSED, DrillResult.ABORTED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """What a schedule asks for now."""

    begin: bool = False  #: a drill now
    missed: Opening | None = None  #: the last opening in which one was due and did not begin
    next_at: datetime | None = None  #: when the next one begins; None where none is planned


NOTHING = Due()


def due(store: str, rules: DrillRules, drills: Sequence[Drill], *, since: datetime, now: datetime) -> Due:
    """What is to be done now.

    Args:
        drills: of that store, the newest first, missed ones included.
        since: what was due before this is not missed for a store without a row: nobody had set it up.
    """
    if not rules.every:
        return NOTHING
    drills = [one for one in drills if one.began_at <= now + _TOLERANCE]  # else a clock that was ahead holds them up
    if not rules.during or _never_closes(rules, now):
        return _due_any_time(store, rules, drills, since=since, now=now)
    counted = next((one.began_at for one in drills if one.result not in _SAYS_NOTHING), None)
    opened = openings(rules.during, now - _HORIZON, now + _HORIZON)
    last_row = drills[0].began_at if drills else None
    wanted = [
        (one, next_one)
        for one, next_one in zip(opened, [*opened[1:], None], strict=True)
        if _is_due(rules, counted, next_one)
    ]
    begin, missed, next_at = False, None, None
    for one, _ in wanted:
        had = last_row is not None and last_row >= one.begin
        at = one.begin + _delay(store, one)
        if one.end <= now:
            missed = one if not had and one.end > (last_row or since) else None
        elif had:
            continue
        elif at <= now:
            begin = True
        elif next_at is None:
            next_at = at
    return Due(begin=begin, missed=missed, next_at=None if begin else next_at)


def missed_drill(store: BackupStore, opening: Opening, reason: str) -> Drill:
    """The row of a drill that never ran. Its id is made of store and opening, so that two replicas write one row."""
    made_up = hashlib.sha256(f"{store.name} {opening.begin.isoformat()}".encode()).hexdigest()[:32]
    return Drill(
        run=made_up,
        store=store.name,
        engine=store.engine_name,
        began_at=opening.begin,
        result=DrillResult.MISSED,
        message=reason,
        finished_at=opening.end,
    )


def same_instance(one: BackupStore, other: BackupStore) -> bool:
    """Whether both are on one instance of an engine, which has one drill at a time."""
    return one.engine is other.engine or (one.engine_name == other.engine_name and one.where == other.where != "")


def scheduled_rule(stores: Mapping[str, BackupStore], verb: str, target: str) -> str:
    """The setting that lets the scheduler begin this; "" where none does. For `Authorizer.scheduled_rule`."""
    store = stores.get(target)
    if verb != "drill" or store is None or not store.drill.every:
        return ""
    return f"backups.stores {store.name}: drill.every {spell(store.drill.every)}"


def _is_due(rules: DrillRules, counted: datetime | None, next_one: Opening | None) -> bool:
    """Whether the drill after the one at `counted` would come too late in the opening after this one."""
    return counted is None or next_one is None or next_one.begin > counted + rules.every + _TOLERANCE


def _due_any_time(store: str, rules: DrillRules, drills: Sequence[Drill], *, since: datetime, now: datetime) -> Due:
    """Without windows. What could not begin is tried again once the interval, or a day, is over."""
    counted = next((one.began_at for one in drills if one.result not in _SAYS_NOTHING), None)
    patience = min(rules.every, _PATIENCE)
    at = since + _delay(store, Opening(since, since + patience)) if counted is None else counted + rules.every
    last_row = drills[0].began_at if drills else None
    if last_row is not None and drills[0].result in _SAYS_NOTHING:
        at = max(at, last_row + patience)
    if at > now:
        return Due(next_at=at)
    return Due(begin=True, missed=Opening(at, at + patience) if now >= at + patience else None)


def _never_closes(rules: DrillRules, now: datetime) -> bool:
    until = open_until(rules.during, now)
    return until is not None and has_no_end(now, until)


def _delay(store: str, opening: Opening) -> timedelta:
    """Of a store, always the same: so not all stores begin at once."""
    part = int.from_bytes(hashlib.sha256(store.encode()).digest()[:4]) / 2**32
    return part * min(_SPREAD, (opening.end - opening.begin) / 2)
