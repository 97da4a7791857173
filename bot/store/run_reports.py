"""Where slow runs are reported: their progress, and, once they have ended, their outcome until it has been sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.store.runs import Run, get_run
from bot.store.sql import Sql
from bot.store.times import micros
from bot.store.transaction import Tx


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """`thread`: where in `channel` the reports go; `message_ref`: the message there with the progress, "" if none."""

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


def show(tx: Tx, run: Run, message_ref: str) -> None:
    tx.sql.run("UPDATE telling SET shown = ? WHERE run = ?", message_ref, run.id)


def mark_due(tx: Tx, run: Run) -> None:
    """The run has ended: the report of its outcome is due."""
    tx.sql.run("UPDATE telling SET due_at = ? WHERE run = ?", micros(tx.now), run.id)


def claim(tx: Tx, lease: timedelta) -> list[tuple[RunReport, Run]]:
    """The reports of outcomes that are due; no other process gets them within the lease."""
    rows = tx.sql.rows(
        f"UPDATE telling SET due_at = ? WHERE due_at <= ? RETURNING {_COLUMNS}",
        micros(tx.now + lease),
        micros(tx.now),
    )
    found = [RunReport(run=row[0], channel=row[1], thread=row[2], message_ref=row[3]) for row in rows]
    return [(one, get_run(tx.sql, one.run)) for one in found]


def delete(tx: Tx, run: Run) -> None:
    """Nothing is left to be reported of this run."""
    tx.sql.run("DELETE FROM telling WHERE run = ?", run.id)
