"""Deletes the oldest part of the audit log. This is the only code that can; the caller has checked that it may.

On PostgreSQL a function of the tables' owner deletes, so that the bot's role needs no DELETE privilege. On SQLite,
where everybody who opens the file owns it, the triggers against DELETE are dropped and created again in the same
transaction. Each step goes from one checkpoint to a later one, so that after each step, and so after a crash, the log
begins at a signed root.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from bot.core.audit import Code
from bot.store import audit_checkpoints, audit_seals
from bot.store.audit_checkpoints import Checkpoint
from bot.store.audit_log import RecordedEntry, entry_of_row
from bot.store.engine import Store
from bot.store.sql import Sql
from bot.store.times import micros

#: How many entries a step deletes at most, where the checkpoints allow it: writers wait for a step.
_STEP = 10_000

_YOUNG = (
    "SELECT min(s.pos) FROM audit_seal AS s JOIN audit_entry AS e ON e.id = s.entry_id WHERE s.pos < ? AND e.at >= ?"
)
_OF_CODE = (
    "SELECT e.id, e.uid, e.body, s.pos, s.leaf FROM audit_seal AS s JOIN audit_entry AS e ON e.id = s.entry_id"
    " WHERE s.pos < ? AND e.code = ? ORDER BY s.pos"
)
_GUARDS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit_%_no_DELETE'"
_ON_SQLITE = (
    "DELETE FROM audit_anchor WHERE size < ?",
    "DELETE FROM audit_checkpoint WHERE size < ? AND instr(note, char(10) || 'to ') = 0",  # handovers are kept for ever
    "DELETE FROM audit_entry WHERE id IN (SELECT entry_id FROM audit_seal WHERE pos < ?)",
    "DELETE FROM audit_seal WHERE pos < ?",
)


def first_position(sql: Sql) -> int:
    """The position of the oldest entry that is still here, 0 where there is none."""
    return int(sql.scalar("SELECT min(pos) FROM audit_seal") or 0)


def pruned_checkpoint(sql: Sql) -> Checkpoint | None:
    """The checkpoint over the pruned part, of which nothing is verified; None for a log that was never pruned.

    Raises:
        ValueError: there is none, or its frontier does not fit its size.
    """
    first = first_position(sql)
    if not first:
        return None
    found = audit_checkpoints.last_of(sql, first)
    if found is None or found.tree.size != first:
        raise ValueError(f"the first {first} entries are missing, and no checkpoint covers exactly these")
    return found


def last_checkpoint_before(sql: Sql, before: datetime) -> Checkpoint | None:
    """The last checkpoint that covers only entries from before then; None where nothing could be pruned."""
    found = audit_checkpoints.last_before(sql, before)
    if found is None:
        return None
    young = sql.scalar(_YOUNG, found.tree.size, micros(before))  # a clock may have gone back in between
    return last_checkpoint_within(sql, found.tree.size if young is None else int(young))


def last_checkpoint_within(sql: Sql, size: int) -> Checkpoint | None:
    """The last checkpoint over at most so many entries; None where nothing could be pruned."""
    found = audit_checkpoints.last_of(sql, size)
    return found if found is not None and found.tree.size > first_position(sql) else None


def restores_before(sql: Sql, size: int) -> list[RecordedEntry]:
    """The entries among the first `size` that record the restore of a copy."""
    return [entry_of_row(row) for row in sql.rows(_OF_CODE, size, Code.RESTORED)]


def may_prune(store: Store, sql: Sql) -> bool:
    """Whether the database role has the privilege; on SQLite everybody who can write has it."""
    privilege = "SELECT has_function_privilege('audit_prune(bigint, text)', 'EXECUTE')"
    return store.sqlite or bool(sql.scalar(privilege))


def remove(store: Store, size: int, reason_uid: str) -> None:
    """Delete the first `size` entries; `reason_uid` is the uid of the entry that records it.

    Raises:
        Unavailable: the database failed; the rest of the log begins at a checkpoint.
    """
    for upto in _steps(store, size):
        with store.begin(audit_seals.LANE, long=True) as tx:
            if store.sqlite:
                _remove_from_sqlite(tx.sql, upto)
            else:
                tx.sql.scalar("SELECT audit_prune(?, ?)", upto, reason_uid)


def _steps(store: Store, size: int) -> Iterator[int]:
    while True:
        with store.read() as seen:
            first = first_position(seen.sql)
            if first >= size:
                return
            far = audit_checkpoints.last_of(seen.sql, min(first + _STEP, size))
            near = seen.sql.scalar("SELECT min(size) FROM audit_checkpoint WHERE size > ?", first)
        yield far.tree.size if far is not None and far.tree.size > first else int(near)


def _remove_from_sqlite(sql: Sql, size: int) -> None:
    guards = sql.rows(_GUARDS)
    for name, _ in guards:
        sql.run(f'DROP TRIGGER "{name}"')
    sql.run("PRAGMA defer_foreign_keys=ON")  # the seals say which entries to delete, so they are deleted last
    for statement in _ON_SQLITE:
        sql.run(statement, size)
    for _, guard in guards:
        sql.run(guard)
