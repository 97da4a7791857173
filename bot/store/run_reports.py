"""Where slow runs are told of: how they go, and, once they have ended, their end, until somebody has been told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.store.runs import Run, get_run
from bot.store.sql import Sql
from bot.store.times import micros
from bot.store.transaction import Tx


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """`thread` is where at `channel` all are told; `message_ref` the message there that says how the run goes, "" for
    none.
    """

    run: str
    channel: str
    thread: str
    message_ref: str


_COLUMNS = "run, place, spot, shown"


def put(tx: Tx, run: Run, place: str, spot: str) -> None:
    tx.sql.insert("telling", ("run", "place", "spot", "shown"), [(run.id, place, spot, "")])


def of(sql: Sql, run: Run) -> RunReport | None:
    row = sql.row(f"SELECT {_COLUMNS} FROM telling WHERE run = ?", run.id)
    return None if row is None else RunReport(run=row[0], channel=row[1], thread=row[2], message_ref=row[3])


def show(tx: Tx, run: Run, shown: str) -> None:
    tx.sql.run("UPDATE telling SET shown = ? WHERE run = ?", shown, run.id)


def mark_due(tx: Tx, run: Run) -> None:
    """It has ended: its end is due to be told."""
    tx.sql.run("UPDATE telling SET due_at = ? WHERE run = ?", micros(tx.now), run.id)


def claim(tx: Tx, lease: timedelta) -> list[tuple[RunReport, Run]]:
    """Ends that are due to be told; nobody else is given them within the lease."""
    rows = tx.sql.rows(
        f"UPDATE telling SET due_at = ? WHERE due_at <= ? RETURNING {_COLUMNS}",
        micros(tx.now + lease),
        micros(tx.now),
    )
    found = [RunReport(run=row[0], channel=row[1], thread=row[2], message_ref=row[3]) for row in rows]
    return [(one, get_run(tx.sql, one.run)) for one in found]


def delete(tx: Tx, run: Run) -> None:
    """Nothing is left to tell of it."""
    tx.sql.run("DELETE FROM telling WHERE run = ?", run.id)
