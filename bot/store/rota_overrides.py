"""Overrides of rotas that people made in a chat. A row is never deleted: it says who was to be on call, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.core.errors import Rejected
from bot.core.rota import MadeOverride, Override
from bot.store.sql import Row, Sql
from bot.store.times import micros, moment
from bot.store.transaction import Tx

#: Overrides that ended so long ago are still read, for questions about the past.
_KEPT = timedelta(days=400)
_COLUMNS = ("id", "rota", "start_at", "end_at", "person", "instead_of", '"by"', "made_at", "ended_at", "ended_by")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM rota_override"


def put(tx: Tx, made: MadeOverride) -> None:
    one = made.override
    row = (
        made.id, made.rota, micros(one.start), micros(one.end), *one.people, one.person, one.by, micros(made.made_at),
        None, None,
    )  # fmt: skip
    tx.sql.insert("rota_override", _COLUMNS, [row])


def listed(sql: Sql, now: datetime) -> list[MadeOverride]:
    """In the order in which they were made, those that were ended before they began left out."""
    rows = sql.rows(f"{_SELECT} WHERE end_at > ? ORDER BY made_at, id", micros(now - _KEPT))
    found = [_ended_by(now, one) if one.ended_by else one for one in map(_made, rows)]
    return [one for one in found if one.override.start < one.override.end]


def find(sql: Sql, beginning: str) -> MadeOverride:
    """By the first characters of its id. Raises `Rejected`: there is none, or more than one."""
    rows = sql.rows(f"{_SELECT} WHERE id >= ? AND id < ? LIMIT 2", beginning, f"{beginning}g")
    if len(rows) == 1:
        return _made(rows[0])
    what = "More than one override begins" if rows else "There is no override that begins"
    raise Rejected(
        f"{what} with {beginning!r}. Nothing was done. `oncall ROTA` lists them.", code="no_override", status=404
    )


def end(tx: Tx, override: str, by: str) -> bool:
    """It counts no longer, from now on. False: it was ended before."""
    ended = tx.sql.run(
        "UPDATE rota_override SET ended_at = ?, ended_by = ? WHERE id = ? AND ended_at IS NULL",
        micros(tx.now),
        by,
        override,
    )
    return ended == 1


def _ended_by(now: datetime, made: MadeOverride) -> MadeOverride:
    """One that somebody has ended while the clock was ahead is over, too."""
    return replace(made, override=replace(made.override, end=min(made.override.end, now)))


def _made(row: Row) -> MadeOverride:
    name, rota, start, end_at, person, instead_of, by, made_at, ended_at, ended_by = row
    until: Sequence[int] = [end_at] if ended_at is None else [end_at, ended_at]
    override = Override(start=moment(start), end=moment(min(until)), people=(person,), person=instead_of, by=by)
    return MadeOverride(id=name, rota=rota, override=override, made_at=moment(made_at), ended_by=ended_by or "")
