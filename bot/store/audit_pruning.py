"""Takes the oldest part of the audit log out, the one way there is; whether it may be is known before.

On PostgreSQL a function of the tables' owner does it, so that nobody needs a right to delete. On SQLite, where whoever
opens the file owns it, the guards against DELETE are lifted and put back in the same transaction. It goes from one
checkpoint to a later one, so that after each step, and so after a crash, the log begins where a root is signed.
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

#: So many entries at once, if there are checkpoints to do so: those who write wait for it.
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
    "DELETE FROM audit_checkpoint WHERE size < ? AND instr(note, char(10) || 'to ') = 0",  # a handover is for ever
    "DELETE FROM audit_entry WHERE id IN (SELECT entry_id FROM audit_seal WHERE pos < ?)",
    "DELETE FROM audit_seal WHERE pos < ?",
)


def first_position(sql: Sql) -> int:
    """The position of the oldest entry that is here, 0 where there is none."""
    return int(sql.scalar("SELECT min(pos) FROM audit_seal") or 0)


def pruned_checkpoint(sql: Sql) -> Checkpoint | None:
    """The checkpoint over what was pruned, of which nothing is checked; None of a log that is here from its beginning.

    Raises:
        ValueError: there is none, or what is stored there is no tree.
    """
    first = first_position(sql)
    if not first:
        return None
    found = audit_checkpoints.last_of(sql, first)
    if found is None or found.tree.size != first:
        raise ValueError(f"the first {first} entries are not here, and no checkpoint tells of them")
    return found


def last_checkpoint_before(sql: Sql, before: datetime) -> Checkpoint | None:
    """The last checkpoint over nothing but entries of before then; None where there is none past the beginning."""
    found = audit_checkpoints.last_before(sql, before)
    if found is None:
        return None
    young = sql.scalar(_YOUNG, found.tree.size, micros(before))  # a clock may have been ahead
    return last_checkpoint_within(sql, found.tree.size if young is None else int(young))


def last_checkpoint_within(sql: Sql, size: int) -> Checkpoint | None:
    """The last checkpoint over no more than so many entries, None where there is none past the beginning."""
    found = audit_checkpoints.last_of(sql, size)
    return found if found is not None and found.tree.size > first_position(sql) else None


def restores_before(sql: Sql, size: int) -> list[RecordedEntry]:
    """What of that part tells that a copy was put back."""
    return [entry_of_row(row) for row in sql.rows(_OF_CODE, size, Code.RESTORED)]


def may_prune(store: Store, sql: Sql) -> bool:
    """Whether the database lets us; on SQLite whoever may write may."""
    asked = "SELECT has_function_privilege('audit_prune(bigint, text)', 'EXECUTE')"
    return store.sqlite or bool(sql.scalar(asked))


def remove(store: Store, size: int, reason_uid: str) -> None:
    """Take the first `size` entries out; `reason_uid` is the uid of the entry that says so.

    Raises:
        Unavailable: the database did not take it; what is left begins at a checkpoint.
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
    sql.run("PRAGMA defer_foreign_keys=ON")  # seals tell which entries go, so they go last
    for statement in _ON_SQLITE:
        sql.run(statement, size)
    for _, guard in guards:
        sql.run(guard)
