"""All backups of one ClickHouse store, each judged.

Usable is what BACKUP has finished and what can be opened now, with its base. The newest `_OPENED` are opened; of older
ones the log alone is believed, and they are opened when somebody asks to restore one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.backup import Backup, Inventory
from bot.core.errors import OutcomeUnknown, Rejected
from bot.integrations.clickhouse.opened import BackupBroken, BackupReading
from bot.integrations.clickhouse.operations import Operation, Operations
from bot.integrations.clickhouse.site import ClickHouseSite

_OPENED = 20
#: A backup that could be opened is opened again after this long.
_OPEN_AGAIN = timedelta(hours=1)

_NO_LOG = (
    "system.backup_log does not exist on this server, so its backups are forgotten at its next restart."
    " Add <backup_log> to the server's configuration."
)


class ClickHouseInventory:
    """Remembers what it could open, so that looking every few minutes costs little."""

    def __init__(self, site: ClickHouseSite, operations: Operations, reading: BackupReading) -> None:
        self._site = site
        self._operations = operations
        self._reading = reading
        self._could_open: dict[tuple[str, datetime], datetime] = {}

    def inventory(self) -> Inventory:
        found: dict[str, Operation] = {}
        for one in self._operations.all("BACKUP"):
            if backup := self._site.backup_in(one.name):
                found.setdefault(backup, one)  # the newest of that name; the older one is overwritten
        others = [one for one in self._site.tables(self._site.live) if one.holds_data and not one.is_merge_tree]
        look = _Look(others=sum(one.size_bytes or 0 for one in others))
        backups = tuple(self._judge(backup, one, found, look) for backup, one in found.items())
        with suppress(Rejected, OutcomeUnknown):  # they hold nothing, and are tried again at the next look
            self._reading.drop_left()
        self._could_open = {key: at for key, at in self._could_open.items() if key[0] in found}
        blockers = [] if self._operations.has_log() else [_NO_LOG]
        if look.blocked:
            blockers.append(f"The backups cannot be opened for reading: {look.blocked}")
        return Inventory(backups=backups, blockers=tuple(blockers))

    def _judge(self, id_: str, one: Operation, found: Mapping[str, Operation], look: _Look) -> Backup:
        problem = _problem_of(one) or self._base_problem(one, found) or self._open_problem(id_, one, look)
        return Backup(
            id=id_,
            data_at=one.start,
            finished_at=one.end,
            size_bytes=one.total_size or None,
            duration=one.end - one.start if one.end else None,
            problem=problem,
            kind="incremental" if one.base else "full",
        )

    def _open_problem(self, id_: str, one: Operation, look: _Look) -> str:
        now = self._site.now()
        last = self._could_open.get((id_, one.start))
        if look.left <= 0 or look.blocked or (last is not None and now - last < _OPEN_AGAIN):
            return ""
        look.left -= 1
        try:
            lost = self._reading.contents(id_).lost_of(one.total_size, look.others)
        except BackupBroken as broken:
            return f"it cannot be opened: {broken}"
        except (Rejected, OutcomeUnknown) as refused:
            look.blocked = refused.message
            return ""
        if lost:
            return f"about {lost:,} of its {one.total_size:,} bytes cannot be read: parts are missing"
        self._could_open[id_, one.start] = now
        return ""

    def _base_problem(self, one: Operation, found: Mapping[str, Operation]) -> str:
        """What the log says against the chain of bases. One that it does not know is found by opening."""
        seen = set()
        while one.base and one.base not in seen:
            seen.add(one.base)
            base = found.get(self._site.backup_in(one.base) or "")
            if base is None:
                return ""
            if why := _problem_of(base):
                return f"its base {one.base} cannot be used: {why}"
            one = base
        return ""


@dataclass(slots=True)
class _Look:
    """One look at the backups."""

    others: int  #: bytes of the live tables that an opened backup does not show
    left: int = _OPENED  #: how many more are opened
    blocked: str = ""  #: why none can be opened


def _problem_of(one: Operation) -> str:
    if one.cut_off:
        return "its server was restarted while it was being made; it never finished"
    if one.status == "CREATING_BACKUP":
        return "it is still being made"
    if one.status != "BACKUP_CREATED":
        return f"it failed ({one.status}): {one.error}" if one.error else f"it failed ({one.status})"
    return ""


def newest_usable(backups: Sequence[Backup], at: datetime | None) -> Backup | None:
    """The newest that can be restored, with data of `at` or before."""
    return next((one for one in backups if one.usable and (at is None or one.data_at <= at)), None)
