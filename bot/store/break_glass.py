"""Uses of break glass, in one write transaction: who used it, until when, and how it was reviewed.

The trap: the scheduler closes a row a little after its time. What counts is its `until`, so every query here compares
it with the clock; that a row is not closed does not mean that the use is active.
"""

from __future__ import annotations

from datetime import datetime

from bot.core.access import BreakGlassUse
from bot.store.sql import Row, Sql
from bot.store.times import micros, micros_or_none, moment, moment_or_none
from bot.store.transaction import Tx

_GLASS = (
    "id", "person", "reason", "opened_at", "until", "incident_id", "closed_at", "reviewed_by", "reviewed_at", "review",
    "place", "account",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_GLASS)} FROM glass"


def next_id(tx: Tx) -> int:
    last: int | None = tx.sql.scalar("SELECT max(id) FROM glass")
    return (last or 0) + 1


def put(tx: Tx, use: BreakGlassUse) -> None:
    row = (
        use.id, use.person, use.reason, micros(use.opened_at), micros(use.until), use.incident_id,
        micros_or_none(use.closed_at), use.reviewed_by, micros_or_none(use.reviewed_at), use.review,
        use.channel, use.account,
    )  # fmt: skip
    tx.sql.insert("glass", _GLASS, [row])


def active(sql: Sql, person: str, now: datetime) -> BreakGlassUse | None:
    """This person's active use: for `whoami`, and for the runs that it allows."""
    row = sql.row(
        f"{_SELECT} WHERE person = ? AND closed_at IS NULL AND until > ? ORDER BY id DESC LIMIT 1", person, micros(now)
    )
    found = None if row is None else _use(row)
    return found if found is not None and found.is_active(now) else None


def unreviewed(sql: Sql, person: str | None = None) -> BreakGlassUse | None:
    """The newest use that nobody has reviewed: of that person, or of anybody."""
    of_person, values = ("", ()) if person is None else (" AND person = ?", (person,))
    row = sql.row(f"{_SELECT} WHERE reviewed_at IS NULL{of_person} ORDER BY id DESC LIMIT 1", *values)
    return None if row is None else _use(row)


def by_id(sql: Sql, use_id: int) -> BreakGlassUse | None:
    row = sql.row(f"{_SELECT} WHERE id = ?", use_id)
    return None if row is None else _use(row)


def newest(sql: Sql, limit: int) -> list[BreakGlassUse]:
    return [_use(row) for row in sql.rows(f"{_SELECT} ORDER BY id DESC LIMIT ?", limit)]


def expired(tx: Tx) -> list[BreakGlassUse]:
    """The uses whose time is over and that are not closed."""
    rows = tx.sql.rows(f"{_SELECT} WHERE closed_at IS NULL AND until <= ? ORDER BY id", micros(tx.now))
    return [_use(row) for row in rows]


def close(tx: Tx, use: BreakGlassUse) -> bool:
    """End the use. False: it was closed before."""
    now = micros(tx.now)
    return tx.sql.run("UPDATE glass SET closed_at = ? WHERE id = ? AND closed_at IS NULL", now, use.id) == 1


def review(tx: Tx, use: BreakGlassUse, by: str, text: str) -> None:
    """Store the review. A use is reviewed once: a second review changes nothing."""
    tx.sql.run(
        "UPDATE glass SET reviewed_by = ?, reviewed_at = ?, review = ? WHERE id = ? AND reviewed_at IS NULL",
        by,
        micros(tx.now),
        text,
        use.id,
    )


def _use(row: Row) -> BreakGlassUse:
    values = dict(zip(_GLASS, row, strict=True))
    for name in ("opened_at", "until"):
        values[name] = moment(values[name])
    for name in ("closed_at", "reviewed_at"):
        values[name] = moment_or_none(values[name])
    values["channel"] = values.pop("place")
    return BreakGlassUse(**values)
