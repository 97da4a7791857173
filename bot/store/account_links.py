"""Which accounts people have linked, the codes by which they do it, and who guessed at one.

A code is stored as its hash; only its row says whose it is and until when. An account is linked to one person and a
person has one linked account in a place: both are keys, so that no race can make it otherwise.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.access import Account, AccountLink, LinkCode
from bot.store.sql import Row, Sql
from bot.store.times import micros, moment
from bot.store.transaction import Tx

_LINK = ("place", "account", "person", "at", '"by"')
_SELECT = f"SELECT {', '.join(_LINK)} FROM link"
_TOLD = "word = NULL, word_due_at = NULL"
_CODE = ("hash", "person", "place", "account", "at", "until")


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountMessage:
    """What whoever asked for a code is to be told, and where."""

    id: str  #: its hash
    channel: str
    account: str
    text: str


def of_account(sql: Sql, account: Account) -> AccountLink | None:
    row = sql.row(f"{_SELECT} WHERE place = ? AND account = ?", *account)
    return None if row is None else _link(row)


def of_person(sql: Sql, person: str) -> list[AccountLink]:
    """In the order of their places."""
    return [_link(row) for row in sql.rows(f"{_SELECT} WHERE person = ? ORDER BY place", person)]


def put(tx: Tx, link: AccountLink) -> None:
    tx.sql.insert("link", _LINK, [(link.channel, link.account, link.person, micros(link.at), link.by)])


def delete(tx: Tx, link: AccountLink) -> None:
    """Take the account away, and with it the codes that wait in that person's name.

    What it said yes to is judged when that would run: by then the account is not theirs.
    """
    tx.sql.run("DELETE FROM link WHERE place = ? AND account = ?", link.channel, link.account)
    tx.sql.run("DELETE FROM link_code WHERE person = ? AND spent_at IS NULL", link.person)


def all_links(tx: Tx) -> list[AccountLink]:
    return [_link(row) for row in tx.sql.rows(_SELECT)]


def overridden_by_settings(tx: Tx, persons: Collection[str], accounts: Collection[Account]) -> list[AccountLink]:
    """Links of people who are not among these, and of accounts that are."""
    return [one for one in all_links(tx) if one.person not in persons or (one.channel, one.account) in accounts]


def put_code(tx: Tx, code_hash: str, issued: LinkCode) -> None:
    """A person has one code at a time: the one before is void."""
    tx.sql.run("DELETE FROM link_code WHERE person = ? AND spent_at IS NULL", issued.person)
    row = (code_hash, issued.person, issued.channel, issued.account, micros(tx.now), micros(issued.expires_at))
    tx.sql.insert("link_code", _CODE, [row])


def find_code(tx: Tx, code_hash: str) -> LinkCode | None:
    row = tx.sql.row("SELECT person, place, account, until, spent_at FROM link_code WHERE hash = ?", code_hash)
    if row is None:
        return None
    person, place, account, until, spent_at = row
    return LinkCode(person=person, channel=place, account=account, expires_at=moment(until), used=spent_at is not None)


def redeem_code(tx: Tx, code_hash: str, message: str) -> None:
    """`message`: what whoever asked for the code is to be told, from now on."""
    now = micros(tx.now)
    tx.sql.run(
        "UPDATE link_code SET spent_at = ?, word = ?, word_due_at = ? WHERE hash = ?", now, message, now, code_hash
    )


def take_messages(tx: Tx, account: Account) -> list[str]:
    """What is still to be told to that account; it is not told again."""
    where = "FROM link_code WHERE place = ? AND account = ? AND word IS NOT NULL"
    words = [str(word) for (word,) in tx.sql.rows(f"SELECT word {where} ORDER BY spent_at", *account)]
    if words:
        tx.sql.run(f"UPDATE link_code SET {_TOLD} {where.removeprefix('FROM link_code ')}", *account)
    return words


def messages_due(sql: Sql, now: datetime) -> bool:
    """Whether a word is due."""
    return sql.scalar("SELECT 1 FROM link_code WHERE word_due_at <= ? LIMIT 1", micros(now)) is not None


def claim_messages(tx: Tx, lease: timedelta) -> list[AccountMessage]:
    """Words that are due; nobody else is given them within the lease."""
    claimed = "UPDATE link_code SET word_due_at = ? WHERE word_due_at <= ? RETURNING hash, place, account, word"
    rows = tx.sql.rows(claimed, micros(tx.now + lease), micros(tx.now))
    return [
        AccountMessage(id=code, channel=place, account=account, text=message) for code, place, account, message in rows
    ]


def mark_notified(tx: Tx, message: AccountMessage) -> None:
    tx.sql.run(f"UPDATE link_code SET {_TOLD} WHERE hash = ?", message.id)


def retry_message(tx: Tx, message: AccountMessage, retry_after: timedelta | None = None) -> None:
    """It was not told; due again after so long, or, with None, only when its owner speaks."""
    due = None if retry_after is None else micros(tx.now + retry_after)
    tx.sql.run("UPDATE link_code SET word_due_at = ? WHERE hash = ? AND word IS NOT NULL", due, message.id)


def failed_attempts(tx: Tx, account: Account) -> int:
    """Wrong codes from that account, lately."""
    found = tx.sql.scalar(
        "SELECT tries FROM link_try WHERE place = ? AND account = ? AND until > ?", *account, micros(tx.now)
    )
    return int(found or 0)


def save_failed_attempts(tx: Tx, account: Account, count: int, *, lasting: timedelta) -> None:
    row = (*account, count, micros(tx.now + lasting))
    kept = "ON CONFLICT (place, account) DO UPDATE SET tries = excluded.tries, until = excluded.until"
    tx.sql.insert("link_try", ("place", "account", "tries", "until"), [row], kept)


def delete_old(tx: Tx, codes_before: datetime) -> None:
    """Codes that ran out before then, told or not, and tries that no longer count."""
    tx.sql.run("DELETE FROM link_code WHERE until < ?", micros(codes_before))
    tx.sql.run("DELETE FROM link_try WHERE until <= ?", micros(tx.now))


def _link(row: Row) -> AccountLink:
    place, account, person, at, by = row
    return AccountLink(channel=place, account=account, person=person, at=moment(at), by=by)
