"""Appends entries to the audit log in the caller's transaction, and reads them back with their seals.

An entry and the change that it records are in the same commit. Its position in the tree is assigned later
(`audit_seals.py`).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.core.audit import AuditEntry
from bot.lib.encoding import uuid7
from bot.store import audit_entry
from bot.store.sql import Row, Sql
from bot.store.times import micros
from bot.store.transaction import Tx

_COLUMNS = ("uid", "at", "code", "run", "incident_id", '"by"', "verb", "target", "place", "body")
_RECORDED = (
    "SELECT e.id, e.uid, e.body, s.pos, s.leaf FROM audit_entry AS e"
    " LEFT JOIN audit_seal AS s ON s.entry_id = e.id WHERE "
)
_LAST = 2**62


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedEntry:
    """One entry as it is stored; `pos` and `leaf` are None until it is sealed."""

    id: int
    uid: str
    body: bytes  #: canonical JSON, exactly the bytes that are hashed
    pos: int | None
    leaf: bytes | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryFilter:
    """Which entries; without a field, all of them. `since` is included, `until` is not."""

    since: datetime | None = None
    until: datetime | None = None
    incident_id: int | None = None
    run: str = ""
    code: str = ""


def append(tx: Tx, entries: Sequence[AuditEntry]) -> tuple[str, ...]:
    """Append the entries in this order; returns their uids. All get the transaction's time."""
    encoded = [
        audit_entry.encode_entry(one, uid=uuid7(tx.now, secrets.token_bytes(10)), at=tx.now, scrub=tx.scrub)
        for one in entries
    ]
    tx.sql.insert("audit_entry", _COLUMNS, [_row(one) for one in encoded])
    return tuple(one.uid for one in encoded)


def entries(sql: Sql, entry_filter: EntryFilter, *, after: int = 0, limit: int = 500) -> list[RecordedEntry]:
    """In the order in which they were written. `after`: only ids above it, for the next page."""
    where, values = _where(entry_filter)
    rows = sql.rows(f"{_RECORDED}e.id > ?{where} ORDER BY e.id LIMIT ?", after, *values, limit)
    return [entry_of_row(row) for row in rows]


def newest(sql: Sql, entry_filter: EntryFilter, *, before: int | None = None, limit: int = 50) -> list[RecordedEntry]:
    """Newest first. `before`: only ids below it, for the next page."""
    where, values = _where(entry_filter)
    top = _LAST if before is None else before
    rows = sql.rows(f"{_RECORDED}e.id < ?{where} ORDER BY e.id DESC LIMIT ?", top, *values, limit)
    return [entry_of_row(row) for row in rows]


def _where(wanted: EntryFilter) -> tuple[str, list[object]]:
    """Conditions, each with AND before it, and the values that are bound to them."""
    conditions = (
        ("e.at >= ?", wanted.since and micros(wanted.since)),
        ("e.at < ?", wanted.until and micros(wanted.until)),
        ("e.incident_id = ?", wanted.incident_id),
        ("e.run <> '' AND e.run = ?", wanted.run or None),
        ("e.code = ?", wanted.code or None),
    )
    chosen = [(condition, value) for condition, value in conditions if value is not None]
    return "".join(f" AND {condition}" for condition, _ in chosen), [value for _, value in chosen]


def _row(one: audit_entry.EncodedEntry) -> Row:
    return (
        one.uid, micros(one.at), one.code, one.run, one.incident_id, one.by, one.verb, one.target, one.place, one.body,
    )  # fmt: skip


def entry_of_row(row: Row) -> RecordedEntry:
    entry_id, uid, body, pos, leaf = row
    sealed = None if leaf is None else bytes(leaf)
    return RecordedEntry(id=entry_id, uid=str(uid), body=bytes(body), pos=pos, leaf=sealed)


def sealed_entries(sql: Sql, first: int, end: int) -> list[RecordedEntry]:
    """The entries at positions from `first` on and below `end`, in their order."""
    rows = sql.rows(
        "SELECT e.id, e.uid, e.body, s.pos, s.leaf FROM audit_seal AS s JOIN audit_entry AS e ON e.id = s.entry_id"
        " WHERE s.pos >= ? AND s.pos < ? ORDER BY s.pos",
        first,
        end,
    )
    return [entry_of_row(row) for row in rows]
