"""What a person asks to be restored, resolved against an inventory: a backup, a moment in the log, or the newest.

The trap: PostgreSQL fails when it is told to stop at a moment after the last transaction, so "now" is the newest, and
never a moment. A moment is repeated to people in UTC whatever zone it was typed in. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.core.backup import Backup, Inventory, RestorePoint, Window
from bot.core.errors import Rejected
from bot.lib.similar_words import offer, similar
from bot.lib.text import spell_list, spell_moment
from bot.lib.time_windows import UnknownZone, parse_moment, zone

_NOW = ("now", "latest")
_LISTED = 5
#: A time without a date is the last such time, if it is no longer ago than this; else it was meant for later today.
_LAST_SUCH_TIME = timedelta(hours=12)
_TIME = re.compile(r"(\d{1,2}:\d{2}(?::\d{2})?)(?: ?(Z|[+-]\d{2}:\d{2})| ([A-Za-z][\w/+-]*))?")
_NO_ZONE = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?")
_AGO = re.compile(r"(?:(\d{1,3})d)? ?(?:(\d{1,3})h)? ?(?:(\d{1,4})m(?:in)?)? ago")
_FORMS = "`at 2026-11-27T14:30:00Z`, `at 2026-11-27 14:30 Europe/Berlin`, or of today `at 14:30 Europe/Berlin`"


@dataclass(frozen=True, kw_only=True, slots=True)
class PointRequest:
    """As it was typed: `backup` after `from`, `moment` after `at`, or `latest`; none of them: the newest."""

    backup: str = ""
    moment: str = ""
    latest: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedPoint:
    """What is restored. `data_at` is None for the end of a log, which moves. `notes`: sentences for the plan."""

    point: RestorePoint  #: what the engine is asked for
    data_at: datetime | None
    backup: Backup | None  #: None: the engine chooses, by the moment
    notes: tuple[str, ...] = ()


def resolve(asked: PointRequest, inventory: Inventory, now: datetime) -> ResolvedPoint:
    """Raises `Rejected`: nothing such can be restored; the text says what can."""
    if sum(map(bool, (asked.backup, asked.moment, asked.latest))) > 1:
        raise _refused("Type one of `latest`, `from <backup>` and `at <time>`.", "not_understood")
    if inventory.blockers:
        raise _refused(f"Nothing can be restored as the store stands: {' '.join(inventory.blockers)}", "blocked")
    if asked.backup:
        return _of_backup(_find(asked.backup, inventory), inventory)
    if asked.moment and asked.moment.strip().lower() not in _NOW:
        return _at(moment_of(asked.moment, now), inventory, now)
    return _newest(inventory)


def moment_of(typed: str, now: datetime) -> datetime:
    """The moment in UTC that a person has typed. Raises `Rejected`."""
    typed = " ".join(typed.split())
    found = _TIME.fullmatch(typed)
    if found:
        return _time_of_day(found, now)
    if (ago := _AGO.fullmatch(typed)) and any(ago.groups()):
        days, hours, minutes = (int(digits or 0) for digits in ago.groups())
        at = now - timedelta(days=days, hours=hours, minutes=minutes)
        raise _refused(f"{typed!r} moves while the plan waits. It is `at {spell_moment(at)}` now: type that.", "moves")
    if _NO_ZONE.fullmatch(typed):
        raise _refused(f"{typed} of which time zone? Type `at {typed} UTC`, or {_FORMS}.", "bad_time")
    try:
        return parse_moment(typed)
    except UnknownZone as unknown:
        raise _refused(f"{unknown.zone[:40]!r} {unknown}.", "bad_time") from None
    except ValueError:
        raise _refused(f"{typed[:40]!r} is not a time. Type {_FORMS}.", "bad_time") from None


def spell_exactly(moment: datetime) -> str:
    """ "2026-11-23 12:00 UTC", or with its seconds where it has any."""
    at = moment.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at.second or at.microsecond else spell_moment(at)


def _time_of_day(found: re.Match[str], now: datetime) -> datetime:
    """The last such time. Raises `Rejected` if that is long ago, so that a later one of today was meant."""
    written, offset, name = found.groups()
    if not offset and not name:
        raise _refused(f"{written} of which time zone? Type `at {written} UTC`, or {_FORMS}.", "bad_time")
    try:
        clock = time.fromisoformat(written.rjust(len("00:00:00" if written.count(":") > 1 else "00:00"), "0"))
        where = zone(name) if name else datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").tzinfo
    except UnknownZone as unknown:
        raise _refused(f"{unknown.zone[:40]!r} {unknown}.", "bad_time") from None
    except ValueError:
        raise _refused(f"{written} is not a time of day. Type {_FORMS}.", "bad_time") from None
    today = now.astimezone(where).date()
    for day in (today, today - timedelta(days=1)):
        local = datetime.combine(day, clock)
        at = (
            parse_moment(f"{local.isoformat()} {name}")
            if isinstance(where, ZoneInfo)
            else local.replace(tzinfo=where).astimezone(UTC)
        )
        if at <= now and now - at <= _LAST_SUCH_TIME:
            return at
    message = f"{found[0]} is in the future today. If you mean an earlier day, type its date: {_FORMS}."
    raise _refused(message, "future")


def _find(typed: str, inventory: Inventory) -> Backup:
    """By its whole id, or by the beginning of only one."""
    exact = [one for one in inventory.backups if one.id == typed]
    found = exact or [one for one in inventory.backups if one.id.startswith(typed)]
    if len(found) == 1:
        return found[0]
    if found:
        more = ", ".join(one.id for one in found[:_LISTED])
        raise _refused(f"More than one backup begins with {typed[:80]!r}: {more}. Type more of its id.", "ambiguous")
    near = similar(typed, [one.id for one in inventory.backups])
    message = f"There is no backup {typed[:80]!r}.{offer(near)} {_what_there_is(inventory)}"
    raise _refused(message, "no_backup")


def _of_backup(backup: Backup, inventory: Inventory) -> ResolvedPoint:
    if not backup.usable:
        message = f"Backup {backup.id} cannot be restored: {backup.problem.rstrip('.')}. {_what_there_is(inventory)}"
        raise _refused(message, "unusable")
    return ResolvedPoint(
        point=RestorePoint(backup_id=backup.id),
        data_at=backup.data_at,
        backup=backup,
        notes=_damage(backup),
    )


def _newest(inventory: Inventory) -> ResolvedPoint:
    usable = _usable(inventory)
    if not usable:
        raise _refused(f"There is no usable backup. {_problem_of_newest(inventory)}".rstrip(), "no_backup")
    if inventory.window is not None:
        gap = _gap(inventory)
        ends = (f"The log has a gap ({gap}): the copy ends before it.",) if gap else ()
        return ResolvedPoint(point=RestorePoint(latest=True), data_at=None, backup=None, notes=ends)
    newest = inventory.backups[0]
    notes = _damage(usable[0])
    if newest is not usable[0]:
        notes = (f"A newer backup, {newest.id}, is not usable: {newest.problem.rstrip('.')}.", *notes)
    return ResolvedPoint(
        point=RestorePoint(backup_id=usable[0].id), data_at=usable[0].data_at, backup=usable[0], notes=notes
    )


def _at(at: datetime, inventory: Inventory, now: datetime) -> ResolvedPoint:
    if at > now:
        message = f"{spell_exactly(at)} is in the future. {_what_there_is(inventory)} `latest` is the newest."
        raise _refused(message, "future")
    if inventory.window is not None:
        return _in_window(at, inventory, inventory.window)
    before = [one for one in _usable(inventory) if one.data_at <= at]
    if not before:
        raise _refused(f"No usable backup is as old as {spell_exactly(at)}. {_what_there_is(inventory)}", "too_early")
    note = (
        f"This store has no restore to a point in time: {before[0].id} is its newest usable backup before "
        f"{spell_exactly(at)}, and has the data of {spell_exactly(before[0].data_at)}."
    )
    exactly = before[0].data_at == at
    return ResolvedPoint(
        point=RestorePoint(backup_id=before[0].id),
        data_at=before[0].data_at,
        backup=before[0],
        notes=(*(() if exactly else (note,)), *_damage(before[0])),
    )


def _in_window(at: datetime, inventory: Inventory, window: Window) -> ResolvedPoint:
    if not window.earliest <= at <= window.latest:
        side = "before" if at < window.earliest else "after"
        hint = " `latest` is the newest." if at > window.latest else ""
        message = f"{spell_exactly(at)} is {side} what can be restored. {_what_there_is(inventory)}{hint}"
        raise _refused(message, "too_early" if at < window.earliest else "too_late")
    gap, log = _gap(inventory), inventory.continuity
    if gap and log is not None and log.ok_until is not None and at > log.ok_until:
        message = f"{spell_exactly(at)} cannot be reached: the log has a gap ({gap}). It is whole until "
        raise _refused(f"{message}{spell_exactly(log.ok_until)}.", "gap")
    return ResolvedPoint(point=RestorePoint(at=at), data_at=at, backup=None)


def _usable(inventory: Inventory) -> list[Backup]:
    return [one for one in inventory.backups if one.usable]


def _damage(backup: Backup) -> tuple[str, ...]:
    return (f"Backup {backup.id} is not whole: {backup.damage.rstrip('.')}.",) if backup.damage else ()


def _gap(inventory: Inventory) -> str:
    return inventory.continuity.gap.rstrip(".") if inventory.continuity else ""


def _problem_of_newest(inventory: Inventory) -> str:
    if not inventory.backups:
        return "There is none of any kind."
    newest = inventory.backups[0]
    return f"The newest of any kind, {newest.id}, is not: {newest.problem.rstrip('.')}."


def _what_there_is(inventory: Inventory) -> str:
    """The window, or the newest usable backups, for somebody who has to choose again."""
    window, usable = inventory.window, _usable(inventory)
    if window is not None:
        return f"Any moment from {spell_exactly(window.earliest)} to {spell_exactly(window.latest)} can be restored."
    if not usable:
        return f"No backup is usable. {_problem_of_newest(inventory)}"
    listed = [f"{one.id} ({spell_exactly(one.data_at)})" for one in usable[:_LISTED]]
    more = (
        f" {len(usable) - _LISTED} more go back to {spell_exactly(usable[-1].data_at)}."
        if len(usable) > _LISTED
        else ""
    )
    return f"Usable: {spell_list(listed, 'and')}.{more}"


def _refused(message: str, code: str) -> Rejected:
    return Rejected(f"{message} Nothing was done.", code=code, status=409)
