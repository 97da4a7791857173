"""Which backups of a stanza can be restored from, up to when, and why not. Pure: it is given what was read.

Usable: the stanza is ok, the backup's folder and those of all that it refers to exist, and the WAL from its start to
its stop is archived. What follows its stop decides how far a restore to a time can go. Archiving that fails blocks no
restore of what there is, so it is a gap and no blocker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from bot.core.backup import Backup, Continuity, Inventory, Window
from bot.integrations.pgbackrest.info import NO_BACKUPS, ListedBackup, Stanza
from bot.integrations.pgbackrest.wal import Gap, WalArchive
from bot.integrations.postgres.primary import PrimaryFacts
from bot.lib.text import spell_moment


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that was read. `primary` None: there is none in the settings, or it did not answer."""

    stanza: Stanza
    archive: WalArchive
    folders: frozenset[str]
    primary: PrimaryFacts | None = None
    damaged: Mapping[str, int | None] = field(default_factory=dict)  #: label -> damaged files, of those with errors
    expiries: Mapping[str, datetime] = field(default_factory=dict)  #: label -> when it may be deleted, where known

    def listed(self, label: str) -> ListedBackup | None:
        return next((one for one in self.stanza.backups if one.label == label), None)

    def problem(self, backup: ListedBackup) -> str:
        """Why it cannot be restored from, "" if it can."""
        missing = [one for one in (backup.label, *backup.references) if one not in self.folders]
        if backup.label in missing:
            return "its folder is missing in the repository, though it is listed"
        if missing:
            return f"it needs {', '.join(missing)}, which is missing in the repository"
        if backup.cluster != self.stanza.newest_cluster:
            return "it is of the cluster before an upgrade; restore it by hand, with the PostgreSQL of that time"
        return self._wal_problem(backup)

    def _wal_problem(self, backup: ListedBackup) -> str:
        if not backup.wal_start or not backup.wal_stop:
            return "it was made without archiving of WAL, so whether it is consistent is unknown"
        if not self.archive.is_on_path(backup.wal_start):
            return "the live timeline does not descend from it"
        gaps = self.archive.gaps(backup.wal_start, backup.wal_stop)
        return f"WAL that it needs is missing from the archive: {spell_gaps(gaps)}" if gaps else ""

    def damage(self, backup: ListedBackup) -> str:
        if not backup.error:
            return ""
        count = self.damaged.get(backup.label)
        files = "files" if count is None else f"{count} file" + ("" if count == 1 else "s")
        return f"pages of {files} failed their checksums when it was made"

    def reach(self, backup: ListedBackup) -> Gap | None:
        """The first gap behind a usable backup; None: its WAL is complete to the newest segment."""
        start = self.archive.place(backup.wal_start)[1]
        return next((gap for gap in self._gaps if gap.number >= start), None)

    @cached_property
    def usable(self) -> tuple[ListedBackup, ...]:
        """The oldest first."""
        return tuple(sorted((one for one in self.stanza.backups if not self.problem(one)), key=lambda one: one.stopped))

    @cached_property
    def _gaps(self) -> tuple[Gap, ...]:
        """All that are missing behind the first segment that a usable backup needs, found in one go."""
        starts = [one.wal_start for one in self.usable]
        return self.archive.gaps(min(starts, key=lambda one: self.archive.place(one)[1])) if starts else ()

    @cached_property
    def lost(self) -> str:
        """What is missing from the archive, in words; "" when nothing is."""
        return spell_gaps(self._gaps) if self._gaps else ""

    @property
    def newest_wal(self) -> datetime | None:
        """When the newest segment was archived; of the live server if it is asked, since a name has no time."""
        newest = self.archive.newest
        stored = self.archive.times.get(newest) if newest else None
        if self.primary is None or newest is None or self.primary.archived_at is None:
            return stored
        return self.primary.archived_at if self._has(self.primary.archived_wal) else stored

    def _has(self, segment: str) -> bool:
        try:
            return self.archive.place(segment) in self.archive.times
        except ValueError:
            return True  # A history or backup file came last, and everything before it was archived.

    @property
    def lost_by_primary(self) -> str:
        """The segment that the live server has archived, by its own account, and that the archive does not have."""
        primary, newest = self.primary, self.archive.newest
        if primary is None or not primary.archived_wal or self._has(primary.archived_wal):
            return ""
        # A segment that was archived between the listing and the question is not lost.
        place = self.archive.place(primary.archived_wal)
        return primary.archived_wal if newest is not None and place < newest else ""


def judge(found: Findings) -> Inventory:
    """The inventory, with a verdict in words for each backup."""
    backups = tuple(
        sorted((_backup(one, found) for one in found.stanza.backups), key=lambda one: one.data_at, reverse=True)
    )
    return Inventory(
        backups=backups, window=_window(found), continuity=_continuity(found), blockers=tuple(_blockers(found))
    )


def spell_gaps(gaps: Sequence[Gap]) -> str:
    count = sum(one.segments for one in gaps)
    since = gaps[0].since
    after = f" since {spell_moment(since)}" if since else ""
    return f"LOST {count} segment{'' if count == 1 else 's'}{after}, the first is {gaps[0].first}"


def _backup(listed: ListedBackup, found: Findings) -> Backup:
    return Backup(
        id=listed.label,
        data_at=listed.stopped,
        finished_at=listed.stopped,
        size_bytes=listed.stored,
        duration=listed.stopped - listed.began,
        problem=found.problem(listed),
        damage=found.damage(listed),
        kind=listed.kind,
        expires_at=found.expiries.get(listed.label),
    )


def _window(found: Findings) -> Window | None:
    """The newest stretch without a gap: from the oldest backup that reaches its end."""
    usable, latest = found.usable, found.newest_wal
    if not usable or latest is None:
        return None
    whole = [one for one in usable if found.reach(one) is None]
    if whole:
        return Window(earliest=whole[0].stopped, latest=max(latest, whole[0].stopped))
    gap = found.reach(usable[-1])
    stretch = [one for one in usable if found.reach(one) == gap]
    end = gap.since if gap and gap.since else usable[-1].stopped
    return Window(earliest=stretch[0].stopped, latest=max(end, stretch[0].stopped))


def _continuity(found: Findings) -> Continuity | None:
    archiving = _archiving_gap(found)
    if not found.usable:
        return Continuity(ok_until=None, gap=archiving)
    window = _window(found)
    gaps = [one for one in (found.lost, archiving) if one]
    return Continuity(ok_until=window.latest if window else None, gap="; ".join(gaps))


def _archiving_gap(found: Findings) -> str:
    """WAL that does not reach the archive now."""
    primary = found.primary
    if primary is None or primary.standby:
        return ""
    if primary.archive_mode == "off":
        return "nothing is archived: archive_mode is off on the live server; set it to on and restart it"
    if not primary.archives:
        return "nothing is archived: archive_command is empty on the live server; set it"
    if found.lost_by_primary:
        return f"LOST {found.lost_by_primary}: the live server has archived it, and the archive does not have it"
    if primary.failing:
        since = f" since {spell_moment(primary.archived_at)}" if primary.archived_at else ""
        return (
            f"archiving fails{since}: {primary.failures} failures, the last of segment {primary.failed_wal};"
            " see the live server's log for archive_command's message"
        )
    return ""


def _blockers(found: Findings) -> list[str]:
    stanza, primary = found.stanza, found.primary
    blockers = []
    if stanza.code not in (0, NO_BACKUPS):
        blockers.append(f"pgBackRest says: {stanza.status}. Check stanza, repository and its configuration.")
    current = stanza.clusters.get(stanza.newest_cluster) if stanza.newest_cluster is not None else None
    if primary is None:
        return blockers
    if primary.standby:
        blockers.append("The address of the live primary leads to a standby; set url to the primary's.")
    if current and current.system_identifier != primary.system_identifier:
        blockers.append(
            f"The stanza holds the cluster {current.system_identifier}, and the live server is"
            f" {primary.system_identifier}: another cluster. Correct"
            " stanza or url; if the live server was made anew and is to be restored, leave url out."
        )
    elif current and _major(current.version) != str(primary.version):
        blockers.append(
            f"The stanza is of PostgreSQL {current.version}, and the live server is {primary.version}."
            " Run stanza-upgrade, and make a full backup."
        )
    return blockers


def _major(version: str) -> str:
    return version.partition(".")[0]
