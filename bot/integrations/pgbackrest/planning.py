"""What a restore of a stanza would do: which backup it begins from, how its recovery ends, and what is refused. Pure.

The traps: with a backup of its own choice, pgBackRest restores to a moment that is before that backup's end, and only
PostgreSQL fails, an hour later; and WAL that is missing does not fail at all where no moment was asked for: recovery
ends at the gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.core.backup import RestorePoint, Window
from bot.core.errors import Rejected
from bot.integrations.pgbackrest.info import ListedBackup
from bot.integrations.pgbackrest.judging import Findings, spell_gaps
from bot.lib.text import spell_moment

#: Types of pgBackRest's restore: to the end of the WAL, to the end of the backup, to a moment.
LATEST, BACKUP_ALONE, MOMENT = "default", "immediate", "time"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The backup, and the moment that its copy will have; None: the newest when it runs."""

    backup: ListedBackup
    data_at: datetime | None
    notes: tuple[str, ...] = ()


def kind_of(point: RestorePoint) -> str:
    """The type of the recovery, of a resolved point."""
    if point.at is not None:
        return MOMENT
    return LATEST if point.latest or not point.backup_id else BACKUP_ALONE


def choose(point: RestorePoint, found: Findings, window: Window | None, now: datetime) -> Choice:
    """Raises `Rejected`: nothing such can be restored; with what can."""
    if point.backup_id:
        listed = _named(point.backup_id, found)
    elif not found.usable:
        raise Rejected(
            f"No backup of this stanza can be restored{_why_newest(found)}. Nothing was done. Make one: backup.",
            code="no_backup",
        )
    elif point.at is not None:
        listed = _before(point.at, found, window, now)
    else:
        listed = found.usable[-1]
    match kind_of(point):
        case "time":
            assert point.at is not None, "a moment is asked for"
            _refuse_moment(point.at, listed, found, window, now)
            note = "If nothing was committed at or after that moment in the archive, PostgreSQL fails: ask for latest."
            return Choice(backup=listed, data_at=point.at, notes=(note,))
        case "immediate":
            return Choice(backup=listed, data_at=listed.stopped)
        case _:
            return _latest(listed, found)


def spell_target(at: datetime) -> str:
    """A moment with its offset, as recovery_target_time wants it: without one it would be of the server's time zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")


def _named(label: str, found: Findings) -> ListedBackup:
    listed = found.listed(label)
    if listed is None:
        raise Rejected(f"The stanza has no backup {label}. Nothing was done. Type one of `backups`.", code="no_backup")
    problem = found.problem(listed)
    if problem:
        raise Rejected(f"Backup {label} cannot be restored: {problem}. Nothing was done.", code="unusable")
    return listed


def _before(at: datetime, found: Findings, window: Window | None, now: datetime) -> ListedBackup:
    """The newest usable backup that ended before that moment."""
    _refuse_outside(at, window, now)
    ended = [one for one in found.usable if one.stopped < at]
    if ended:
        return ended[-1]
    during = next((one for one in found.stanza.backups if one.began <= at <= one.stopped), None)
    was = f": backup {during.label} was being made, and is consistent from its end on" if during else ""
    raise Rejected(
        f"{_spell(at)} cannot be reached{was}. The earliest moment is {_spell(found.usable[0].stopped)}."
        " Nothing was done.",
        code="outside_window",
    )


def _refuse_moment(at: datetime, listed: ListedBackup, found: Findings, window: Window | None, now: datetime) -> None:
    if at <= listed.stopped:
        raise Rejected(
            f"{_spell(at)} is not after the end of backup {listed.label} ({_spell(listed.stopped)}), from which on it"
            " is consistent. Nothing was done. Ask for a later moment, or name no backup.",
            code="outside_window",
        )
    _refuse_outside(at, window, now)
    gap = found.reach(listed)
    if gap is not None and (gap.since is None or at > gap.since):
        raise Rejected(
            f"{_spell(at)} cannot be reached from backup {listed.label}: {spell_gaps([gap])} in the archive."
            " Nothing was done. Ask for a moment before that, or after the end of a newer backup.",
            code="wal_gap",
        )


def _refuse_outside(at: datetime, window: Window | None, now: datetime) -> None:
    reach = f" What can be reached: {_spell(window.earliest)} to {_spell(window.latest)}." if window else ""
    if at > now:
        raise Rejected(
            f"{_spell(at)} is in the future. Nothing was done. For the newest there is, ask for latest.{reach}",
            code="future",
        )
    if window is not None and at > window.latest:
        raise Rejected(
            f"{_spell(at)} is after the newest archived WAL.{reach} Nothing was done. Ask for latest.",
            code="outside_window",
        )


def _latest(listed: ListedBackup, found: Findings) -> Choice:
    gap = found.reach(listed)
    if gap is None:
        return Choice(backup=listed, data_at=None)
    until = gap.since or listed.stopped
    note = f"WAL is missing behind this backup ({spell_gaps([gap])}): the copy ends there, at {_spell(until)}."
    return Choice(backup=listed, data_at=until, notes=(note,))


def _why_newest(found: Findings) -> str:
    backups: Sequence[ListedBackup] = sorted(found.stanza.backups, key=lambda one: one.stopped)
    return f": the newest, {backups[-1].label}: {found.problem(backups[-1])}" if backups else ": there is none"


def _spell(at: datetime) -> str:
    exact = at.astimezone(UTC)
    return f"{exact:%Y-%m-%d %H:%M:%S} UTC" if exact.second or exact.microsecond else spell_moment(exact)
