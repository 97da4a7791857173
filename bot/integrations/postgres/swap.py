"""Puts a restored copy in the place of the live database by renaming both, and back.

The order is that of a measured trap: a database cannot be renamed while anybody is connected to it, so it lets nobody
in first, then its sessions are ended, then both are renamed, then the new one is opened. Which step comes next is found
by looking at the databases, so a cutover that a crash has stopped goes on by being asked for again. The old one stays
closed: whether it was written to since is known by the sessions that it has had.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.core.backup import (
    CutoverPreview,
    CutoverState,
    CutoverStatus,
    EngineParts,
    Report,
    RestoreTask,
)
from bot.core.errors import Conflict, Rejected
from bot.integrations.postgres import databases
from bot.integrations.postgres.carry_over import carry_over
from bot.integrations.postgres.connection import PostgresConnection, PostgresServer
from bot.integrations.postgres.copies import Copies
from bot.integrations.postgres.databases import DatabaseLabel, FoundDatabase, copy_name, old_name
from bot.integrations.postgres.preview import OWNERS
from bot.integrations.postgres.writes import ROWS_WRITTEN

_STEP_WITHIN = timedelta(minutes=10)
_ANALYZED_WITHIN = timedelta(hours=2)
_ENDED_WITHIN = timedelta(seconds=30)
_LOOK_EVERY = timedelta(milliseconds=100)


@dataclass(frozen=True, kw_only=True, slots=True)
class SwapNote:
    """What was true at a cutover; kept in the label of the database that became the live one."""

    old_oid: int
    old_sessions: int | None = None  #: how many it had had when it was closed; None where PostgreSQL does not count
    new_rows: int | None = None  #: rows written to the new one before it was opened

    def as_text(self) -> str:
        return json.dumps([self.old_oid, self.old_sessions, self.new_rows])

    @classmethod
    def of(cls, label: DatabaseLabel | None) -> SwapNote | None:
        try:
            oid, sessions, rows = json.loads(label.swap if label else "")
        except (ValueError, TypeError):
            return None
        return cls(old_oid=oid, old_sessions=sessions, new_rows=rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stand:
    """The three databases of a cutover, as they are. `copy` is known by its label, the others by their names."""

    live: FoundDatabase | None
    copy: FoundDatabase
    old: FoundDatabase | None

    @property
    def swapped(self) -> bool:
        return self.live is not None and self.live.oid == self.copy.oid

    @property
    def stranger(self) -> FoundDatabase | None:
        """Neither of the two, with the live one's name: somebody made it while neither of them had that name."""
        return self.live if self.old is not None and not self.swapped else None


class Swap:
    """Cutovers of one database, on one server."""

    def __init__(
        self, database: str, parts: EngineParts, *, live: PostgresServer, target: PostgresServer, copies: Copies
    ) -> None:
        self._database = database
        self._parts = parts
        self._live = live
        self._target = target
        self._copies = copies

    def preview(self, task: RestoreTask) -> CutoverPreview:
        copy = self._copies.restored(task)
        self._refuse(task, copy)
        with self._live.connect(read_only=True) as admin:
            live = databases.find(admin, self._database)
            if live is None:
                raise Rejected(
                    f"There is no live database {self._database}. Nothing was done. Rename {copy.name} to it by hand.",
                    code="no_live",
                )
            _refuse_rights(admin, live)
            moving = tuple(_clients(admin, self._database))
            slots = _slots(admin, self._database)
        old = old_name(self._database, "0" * 8).removesuffix("0" * 8) + "{run}"
        return CutoverPreview(
            live=self._database,
            old_name=old,
            effect=(
                f"Sessions of {self._database} are ended, and clients see errors until {copy.name} has its name",
                "Its owner, its rights and its settings (ALTER DATABASE ... SET) are taken over from the live one",
                "Clients behind PgBouncer: PAUSE before, then RECONNECT and RESUME, or they keep dead connections",
                *([f"replication slots stay with the old one: {slots}"] if slots else []),
            ),
            preconditions={"live": str(live.oid), "copy": str(copy.oid)},
            moving=moving,
        )

    def cut_over(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        with self._locked() as admin:
            stand = self._stand(admin, task, cutover_run)
            if not stand.swapped:
                if stand.live is not None:
                    self._start(admin, stand, task, cutover_run, report)
                elif stand.old is None:
                    raise Conflict(f"There is neither {self._database} nor its old one. Nothing was done.")
                report(f"renaming {stand.copy.name} to {self._database}")
                self._close(admin, stand.copy.name)
                _rename(admin, stand.copy.name, self._database)
            report(f"opening {self._database}")
            _allow(admin, self._database, yes=True)

    def look(self, task: RestoreTask, cutover_run: str) -> CutoverStatus:
        with self._target.connect(read_only=True) as admin:
            stand = self._stand(admin, task, cutover_run)
        ours = _is_of(stand, cutover_run)
        if stand.swapped:
            if not ours:
                raise Rejected(f"The copy of run {task.short_run} was made live by another run.", code="other_run")
            if stand.copy.open:
                return CutoverStatus(state=CutoverState.NEW)
            return _partial(f"both are renamed, and {self._database} is still closed: clients are refused")
        if ours and stand.stranger is not None:
            return _partial(f"{self._stranger(stand)}. Clients are on that one. Rename it, and ask again")
        if stand.live is None:
            return _partial(f"there is no database {self._database}: clients are refused. Ask for the cutover again")
        if stand.live.open or not ours:
            return CutoverStatus(state=CutoverState.OLD)
        return _partial(f"{self._database} is closed and not renamed yet: clients are refused")

    def undo_refusal(self, task: RestoreTask, cutover_run: str) -> str:
        with self._target.connect(read_only=True) as admin:
            stand = self._stand(admin, task, cutover_run)
            if not stand.swapped:
                # It was stopped half-way, in either direction: nobody has written to any of them.
                if stand.stranger is not None and _is_of(stand, cutover_run):
                    return f"{self._stranger(stand)}: rename it first"
                gone = stand.live is None and stand.old is None
                return f"there is neither {self._database} nor its old one" if gone else ""
            note = SwapNote.of(stand.copy.label)
            if stand.old is None or note is None or stand.old.oid != note.old_oid:
                return f"{old_name(self._database, cutover_run)} is gone, so it cannot be brought back"
            sessions = _sessions(admin, stand.old)
        untouched = not stand.old.open and sessions is not None and sessions == note.old_sessions
        if untouched or self._rows(self._database) == note.new_rows:
            return ""
        how = "is open" if stand.old.open else "was opened"
        return f"both may have been written to since the cutover: {self._database} has new rows, {stand.old.name} {how}"

    def undo(self, task: RestoreTask, cutover_run: str, report: Report) -> None:
        refusal = self.undo_refusal(task, cutover_run)
        if refusal:
            raise Conflict(f"{refusal[0].upper()}{refusal[1:]}. Nothing was done.")
        with self._locked() as admin:
            stand = self._stand(admin, task, cutover_run)
            if stand.swapped:
                report(f"closing {self._database}")
                self._close(admin, self._database)
                report(f"renaming {self._database} to {self._copies.name(task)}")
                _rename(admin, self._database, self._copies.name(task))
            if stand.swapped or stand.live is None:
                report(f"renaming {old_name(self._database, cutover_run)} to {self._database}")
                self._close(admin, old_name(self._database, cutover_run))
                _rename(admin, old_name(self._database, cutover_run), self._database)
            report(f"opening {self._database}")
            _allow(admin, self._database, yes=True)
            _allow(admin, self._copies.name(task), yes=True)

    def remove_old(self, task: RestoreTask, cutover_run: str) -> None:
        with self._locked() as admin:
            stand = self._stand(admin, task, cutover_run)
            if stand.old is None:
                return
            note = SwapNote.of(stand.copy.label)
            if not stand.swapped or note is None or note.old_oid != stand.old.oid:
                raise Rejected(
                    f"{stand.old.name} is not known as what {self._database} was before this cutover. Nothing was "
                    "removed.",
                    code="not_ours",
                )
            databases.drop(admin, stand.old.name)

    def _start(
        self, admin: PostgresConnection, stand: _Stand, task: RestoreTask, cutover_run: str, report: Report
    ) -> None:
        """All that comes before the first rename. Clients keep working until the live one is closed."""
        assert stand.live is not None
        if stand.old is not None:
            raise Conflict(f"Database {stand.old.name} exists already. Nothing was done.")
        copy = self._copies.restored(task)
        self._refuse(task, copy)
        assert copy.label is not None
        note = SwapNote.of(copy.label) if copy.label.cutover == cutover_run else None
        if stand.copy.open:
            report(f"collecting statistics of {copy.name}")
            with self._target.connect(copy.name, limit=_ANALYZED_WITHIN) as connection:
                connection.change("ANALYZE")
            carry_over(self._target, self._database, copy.name)
            note = SwapNote(old_oid=stand.live.oid, new_rows=self._rows(copy.name))
        note = note or SwapNote(old_oid=stand.live.oid)
        comment = stand.live.label.note if stand.live.label else stand.live.comment
        label = replace(copy.label, cutover=cutover_run, swap=note.as_text(), note=comment)
        databases.write_label(admin, copy.name, label)
        try:
            report(f"closing {self._database}")
            self._close(admin, copy.name)
            self._close(admin, self._database)
            note = replace(note, old_sessions=_sessions(admin, stand.live))
            databases.write_label(admin, copy.name, replace(label, swap=note.as_text()))
            report(f"renaming {self._database} to {old_name(self._database, cutover_run)}")
            _rename(admin, self._database, old_name(self._database, cutover_run))
        except (Rejected, Conflict):  # Nothing is renamed: clients are let in again.
            _allow(admin, self._database, yes=True)
            _allow(admin, copy.name, yes=True)
            raise

    def _stranger(self, stand: _Stand) -> str:
        assert stand.old is not None
        return f"{stand.old.name} was renamed, and another database has its name {self._database} since"

    def _close(self, admin: PostgresConnection, name: str) -> None:
        """Let nobody in, and end who is in."""
        _allow(admin, name, yes=False)
        until = self._parts.now() + _ENDED_WITHIN
        while left := databases.end_sessions(admin, name):
            if self._parts.now() >= until:
                raise Conflict(f"{left} sessions of {name} did not end within {_ENDED_WITHIN.seconds} s.")
            self._parts.pause(_LOOK_EVERY)

    def _stand(self, admin: PostgresConnection, task: RestoreTask, cutover_run: str) -> _Stand:
        found = {one.name: one for one in databases.list_all(admin)}
        copy = next((one for one in found.values() if one.label is not None and one.label.run == task.run), None)
        if copy is None:
            raise Rejected(f"The copy of run {task.short_run} is gone. Nothing was done.", code="gone")
        return _Stand(live=found.get(self._database), copy=copy, old=found.get(old_name(self._database, cutover_run)))

    def _refuse(self, task: RestoreTask, copy: FoundDatabase) -> None:
        """What no cutover may be made of. Raises `Rejected`."""
        why = ""
        if task.drill or (copy.label is not None and copy.label.drill):
            why = f"{copy.name} is of a drill"
        elif copy.name == self._database:
            why = f"the copy of run {task.short_run} is the live one already"
        elif copy.name != copy_name(self._database, task.run, drill=False):
            why = f"the copy of run {task.short_run} was renamed to {copy.name}"
        elif not task.facts.get(OWNERS):
            why = (
                "the copy was restored without owners and rights, so that clients would be locked out. Create the "
                "missing roles, and restore again"
            )
        elif not self._same_server():
            why = (
                f"the copy is on {self._target.name}, another server than {self._live.name}. Point the clients to it, "
                "or restore without copy_url"
            )
        if why:
            raise Rejected(f"No cutover can be made: {why}. Nothing was done.", code="no_cutover")

    def _same_server(self) -> bool:
        if self._live == self._target:
            return True
        with self._live.connect(read_only=True) as live, self._target.connect(read_only=True) as target:
            first, second = databases.system_identifier(live), databases.system_identifier(target)
        return bool(first) and first == second

    def _rows(self, name: str) -> int:
        with self._target.connect(name, read_only=True) as connection:
            return int(connection.value(ROWS_WRITTEN))

    @contextmanager
    def _locked(self) -> Iterator[PostgresConnection]:
        """One cutover of a database at a time, whoever asks; the lock is gone with its connection."""
        with self._target.connect(limit=_STEP_WITHIN, called="vakhta-cutover") as admin:
            if not admin.value(
                "SELECT pg_try_advisory_lock(hashtext('vakhta cutover'), hashtext(%s))", [self._database]
            ):
                raise Conflict(f"Another cutover of {self._database} runs. Nothing was done.")
            yield admin


def _is_of(stand: _Stand, cutover_run: str) -> bool:
    """Whether that cutover has begun with the copy."""
    return stand.copy.label is not None and stand.copy.label.cutover == cutover_run


def _refuse_rights(admin: PostgresConnection, live: FoundDatabase) -> None:
    if not admin.value(
        "SELECT r.rolsuper OR (r.rolcreatedb AND pg_has_role(d.datdba, 'USAGE')"
        " AND pg_has_role('pg_signal_backend', 'USAGE')) FROM pg_roles r, pg_database d"
        " WHERE r.rolname = current_user AND d.oid = %s::bigint::oid",
        [live.oid],
    ):
        raise Rejected(
            f"The bot's user may not rename {live.name} and end its sessions. Nothing was done. Make it a member of "
            "the owner and of pg_signal_backend, with CREATEDB.",
            code="forbidden",
        )
    prepared = admin.value("SELECT count(*) FROM pg_prepared_xacts WHERE database = %s", [live.name])
    if prepared:
        raise Rejected(
            f"{live.name} has {prepared} prepared transactions, with which it cannot be renamed. Nothing was done. "
            "Commit them or roll them back (pg_prepared_xacts).",
            code="prepared",
        )


def _clients(admin: PostgresConnection, name: str) -> Iterator[str]:
    count = admin.value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
        " AND application_name NOT LIKE 'vakhta%%'",
        [name],
    )
    yield f"{count} clients are connected to {name}"


def _slots(admin: PostgresConnection, name: str) -> str:
    rows = admin.rows("SELECT slot_name FROM pg_replication_slots WHERE database = %s ORDER BY 1", [name])
    return ", ".join(slot for (slot,) in rows)


def _sessions(admin: PostgresConnection, found: FoundDatabase) -> int | None:
    """How many sessions a database has had since its statistics began; None before PostgreSQL 14."""
    row = admin.value("SELECT to_jsonb(s) FROM pg_stat_database s WHERE datid = %s::bigint::oid", [found.oid])
    return None if row is None or row.get("sessions") is None else int(row["sessions"])


def _rename(admin: PostgresConnection, name: str, new: str) -> None:
    admin.change("ALTER DATABASE {name} RENAME TO {new}", names={"name": name, "new": new})


def _allow(admin: PostgresConnection, name: str, *, yes: bool) -> None:
    if yes:
        admin.change("ALTER DATABASE {name} ALLOW_CONNECTIONS true", names={"name": name})
    else:
        admin.change("ALTER DATABASE {name} ALLOW_CONNECTIONS false", names={"name": name})


def _partial(message: str) -> CutoverStatus:
    return CutoverStatus(state=CutoverState.PARTIAL, message=message)
