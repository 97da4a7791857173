"""Plans and approvals in one write transaction: a plan is approved once, and begun once."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.plans import LASTS, Drawn, State, read
from bot.store.sql import Row, Sql
from bot.store.times import micros, moment
from bot.store.tx import Tx

_PLAN = (
    "handle", "verb", "words", '"by"', "place", "incident_id", "at", "needs", "state", "body", "digest", "undoes",
    "spot",
)  # fmt: skip
_SELECT_PLAN = f"SELECT {', '.join(f'p.{name}' for name in _PLAN)} FROM plan AS p"


def put_plan(tx: Tx, drawn: Drawn, body: bytes) -> None:
    row = (
        drawn.handle, drawn.verb, drawn.words, drawn.by, drawn.place, drawn.incident_id, micros(drawn.at), drawn.needs,
        str(drawn.state), body, drawn.digest, drawn.undoes, drawn.spot,
        micros(tx.now) if drawn.state is State.APPROVED else None,
    )  # fmt: skip
    tx.sql.insert("plan", (*_PLAN, "approved_at"), [row])


def plans_like(sql: Sql, handle: str) -> list[Drawn]:
    """The plans whose handle begins so, at most two: more than one is not for us to choose from."""
    rows = sql.rows(
        f"{_SELECT_PLAN} WHERE p.handle >= ? AND p.handle < ? ORDER BY p.handle LIMIT 2", handle, handle + "g"
    )
    return [_drawn(sql, row) for row in rows]


def waiting(sql: Sql, now: datetime, limit: int) -> list[Drawn]:
    """Plans that can still be approved, newest first."""
    since = micros(now - LASTS)
    rows = sql.rows(f"{_SELECT_PLAN} WHERE p.state = 'shown' AND p.at > ? ORDER BY p.at DESC LIMIT ?", since, limit)
    return [_drawn(sql, row) for row in rows]


def overdue(tx: Tx, limit: int = 100) -> list[Drawn]:
    """Plans that nobody approved in time, and that are still marked as shown."""
    before = micros(tx.now - LASTS)
    rows = tx.sql.rows(f"{_SELECT_PLAN} WHERE p.state = 'shown' AND p.at <= ? ORDER BY p.at LIMIT ?", before, limit)
    return [_drawn(tx.sql, row) for row in rows]


def approve(tx: Tx, drawn: Drawn, person: str, place: str) -> None:
    tx.sql.insert("approval", ("handle", "person", "place", "at"), [(drawn.handle, person, place, micros(tx.now))])


def withdraw(tx: Tx, person: str) -> int:
    """Take back what that person approved of plans that have not run; returns how many."""
    return tx.sql.run(
        "DELETE FROM approval WHERE person = ? AND handle IN (SELECT handle FROM plan WHERE state = 'shown')", person
    )


def mark(tx: Tx, handle: str, state: State) -> bool:
    """Move a shown plan on. False: somebody else has done so before."""
    approved_at = micros(tx.now) if state is State.APPROVED else None
    return (
        tx.sql.run(
            "UPDATE plan SET state = ?, approved_at = ? WHERE handle = ? AND state = 'shown'",
            str(state),
            approved_at,
            handle,
        )
        == 1
    )


def take_up(tx: Tx, handle: str) -> bool:
    """An approved plan gets its run. False: it has one, or it was stopped."""
    return tx.sql.run("UPDATE plan SET state = 'begun' WHERE handle = ? AND state = 'approved'", handle) == 1


def stop(tx: Tx, handle: str, state: State) -> bool:
    """An approved plan gets no run, for one reason or the other. False: it has one, or it was stopped before."""
    return tx.sql.run("UPDATE plan SET state = ? WHERE handle = ? AND state = 'approved'", str(state), handle) == 1


def forgotten(tx: Tx, after: timedelta, limit: int = 20) -> list[Drawn]:
    """Plans that were approved so long ago, and have no run: whoever was to begin it has died."""
    before = micros(tx.now - after)
    rows = tx.sql.rows(
        f"{_SELECT_PLAN} WHERE p.state = 'approved' AND p.approved_at < ? ORDER BY p.approved_at LIMIT ?", before, limit
    )
    return [_drawn(tx.sql, row) for row in rows]


def _drawn(sql: Sql, row: Row) -> Drawn:
    handle, verb, words, by, place, incident_id, at, needs, state, body, digest, undoes, spot = row
    given = sql.rows("SELECT person FROM approval WHERE handle = ? ORDER BY at, person", handle)
    return Drawn(
        handle=handle,
        verb=verb,
        words=words,
        by=by,
        place=place,
        incident_id=incident_id,
        at=moment(at),
        needs=needs,
        state=State(state),
        plan=read(bytes(body)),
        digest=digest,
        given=tuple(person for (person,) in given),
        undoes=undoes,
        spot=spot,
    )
