"""Which accounts people have linked, the codes by which they do it, and who guessed at one.

A code is stored as its hash; only its row says whose it is and until when. An account is linked to one person and a
person has one linked account in a place: both are keys, so that no race can make it otherwise.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.people import Account, Issued, Link
from bot.store.sql import Row, Sql
from bot.store.times import micros, moment
from bot.store.tx import Tx

_LINK = ("place", "account", "person", "at", '"by"')
_SELECT = f"SELECT {', '.join(_LINK)} FROM link"
_TOLD = "word = NULL, word_due_at = NULL"
_CODE = ("hash", "person", "place", "account", "at", "until")


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """What whoever asked for a code is to be told, and where."""

    code: str  #: its hash
    place: str
    account: str
    said: str


def of_account(sql: Sql, account: Account) -> Link | None:
    row = sql.row(f"{_SELECT} WHERE place = ? AND account = ?", *account)
    return None if row is None else _link(row)


def of_person(sql: Sql, person: str) -> list[Link]:
    """In the order of their places."""
    return [_link(row) for row in sql.rows(f"{_SELECT} WHERE person = ? ORDER BY place", person)]


def put(tx: Tx, link: Link) -> None:
    tx.sql.insert("link", _LINK, [(link.place, link.account, link.person, micros(link.at), link.by)])


def end(tx: Tx, link: Link) -> None:
    """Take the account away, and with it the codes that wait in that person's name.

    What it said yes to is judged when that would run: by then the account is not theirs.
    """
    tx.sql.run("DELETE FROM link WHERE place = ? AND account = ?", link.place, link.account)
    tx.sql.run("DELETE FROM link_code WHERE person = ? AND spent_at IS NULL", link.person)


def everyone(tx: Tx) -> list[Link]:
    return [_link(row) for row in tx.sql.rows(_SELECT)]


def overruled(tx: Tx, persons: Collection[str], accounts: Collection[Account]) -> list[Link]:
    """Links of people who are not among these, and of accounts that are."""
    return [one for one in everyone(tx) if one.person not in persons or (one.place, one.account) in accounts]


def put_code(tx: Tx, sealed: str, issued: Issued) -> None:
    """A person has one code at a time: the one before is void."""
    tx.sql.run("DELETE FROM link_code WHERE person = ? AND spent_at IS NULL", issued.person)
    row = (sealed, issued.person, issued.place, issued.account, micros(tx.now), micros(issued.until))
    tx.sql.insert("link_code", _CODE, [row])


def code(tx: Tx, sealed: str) -> Issued | None:
    row = tx.sql.row("SELECT person, place, account, until, spent_at FROM link_code WHERE hash = ?", sealed)
    if row is None:
        return None
    person, place, account, until, spent_at = row
    return Issued(person=person, place=place, account=account, until=moment(until), spent=spent_at is not None)


def spend(tx: Tx, sealed: str, word: str) -> None:
    """`word`: what whoever asked for the code is to be told, from now on."""
    now = micros(tx.now)
    tx.sql.run("UPDATE link_code SET spent_at = ?, word = ?, word_due_at = ? WHERE hash = ?", now, word, now, sealed)


def take_words(tx: Tx, account: Account) -> list[str]:
    """What is still to be told to that account; it is not told again."""
    where = "FROM link_code WHERE place = ? AND account = ? AND word IS NOT NULL"
    words = [str(word) for (word,) in tx.sql.rows(f"SELECT word {where} ORDER BY spent_at", *account)]
    if words:
        tx.sql.run(f"UPDATE link_code SET {_TOLD} {where.removeprefix('FROM link_code ')}", *account)
    return words


def words_wait(sql: Sql, now: datetime) -> bool:
    """Whether a word is due."""
    return sql.scalar("SELECT 1 FROM link_code WHERE word_due_at <= ? LIMIT 1", micros(now)) is not None


def claim_words(tx: Tx, lease: timedelta) -> list[Word]:
    """Words that are due; nobody else is given them within the lease."""
    claimed = "UPDATE link_code SET word_due_at = ? WHERE word_due_at <= ? RETURNING hash, place, account, word"
    rows = tx.sql.rows(claimed, micros(tx.now + lease), micros(tx.now))
    return [Word(code=code, place=place, account=account, said=said) for code, place, account, said in rows]


def told(tx: Tx, word: Word) -> None:
    tx.sql.run(f"UPDATE link_code SET {_TOLD} WHERE hash = ?", word.code)


def leave_word(tx: Tx, word: Word, again: timedelta | None = None) -> None:
    """It was not told; due again after so long, or, with None, only when its owner speaks."""
    due = None if again is None else micros(tx.now + again)
    tx.sql.run("UPDATE link_code SET word_due_at = ? WHERE hash = ? AND word IS NOT NULL", due, word.code)


def tries(tx: Tx, account: Account) -> int:
    """Wrong codes from that account, lately."""
    found = tx.sql.scalar(
        "SELECT tries FROM link_try WHERE place = ? AND account = ? AND until > ?", *account, micros(tx.now)
    )
    return int(found or 0)


def put_tries(tx: Tx, account: Account, count: int, *, lasting: timedelta) -> None:
    row = (*account, count, micros(tx.now + lasting))
    kept = "ON CONFLICT (place, account) DO UPDATE SET tries = excluded.tries, until = excluded.until"
    tx.sql.insert("link_try", ("place", "account", "tries", "until"), [row], kept)


def forget(tx: Tx, codes_before: datetime) -> None:
    """Codes that ran out before then, told or not, and tries that no longer count."""
    tx.sql.run("DELETE FROM link_code WHERE until < ?", micros(codes_before))
    tx.sql.run("DELETE FROM link_try WHERE until <= ?", micros(tx.now))


def _link(row: Row) -> Link:
    place, account, person, at, by = row
    return Link(place=place, account=account, person=person, at=moment(at), by=by)
