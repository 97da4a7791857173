"""Linked accounts, the codes by which they are linked, and failed attempts to guess a code.

A code is stored as its hash; only its row says who asked for it and until when it is valid. An account is linked to one
person, and a person has one linked account in each channel: both are unique keys, so that no race can break this.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from bot.core.access import Account, AccountLink, LinkCode
from bot.store.account_messages import MessageQueue
from bot.store.sql import Row, Sql
from bot.store.times import micros, moment
from bot.store.transaction import Tx

_LINK = ("place", "account", "person", "at", '"by"')
_SELECT = f"SELECT {', '.join(_LINK)} FROM link"
_CODE = ("hash", "person", "place", "account", "at", "until")

#: For the accounts that asked for a code: what became of it.
MESSAGES = MessageQueue(
    table="link_code",
    key="hash",
    text="word",
    due_at="word_due_at",
    order="spent_at",
    remove="UPDATE link_code SET word = NULL, word_due_at = NULL",
    has_message=" AND word IS NOT NULL",
)


def of_account(sql: Sql, account: Account) -> AccountLink | None:
    row = sql.row(f"{_SELECT} WHERE place = ? AND account = ?", *account)
    return None if row is None else _link(row)


def of_person(sql: Sql, person: str) -> list[AccountLink]:
    """Ordered by channel."""
    return [_link(row) for row in sql.rows(f"{_SELECT} WHERE person = ? ORDER BY place", person)]


def put(tx: Tx, link: AccountLink) -> None:
    tx.sql.insert("link", _LINK, [(link.channel, link.account, link.person, micros(link.at), link.by)])


def delete(tx: Tx, link: AccountLink) -> None:
    """Remove the link, and the unused codes of that person.

    Approvals given with the account are checked again when their plan is to run: by then the account is not theirs.
    """
    tx.sql.run("DELETE FROM link WHERE place = ? AND account = ?", link.channel, link.account)
    tx.sql.run("DELETE FROM link_code WHERE person = ? AND spent_at IS NULL", link.person)


def all_links(tx: Tx) -> list[AccountLink]:
    return [_link(row) for row in tx.sql.rows(_SELECT)]


def overridden_by_settings(tx: Tx, persons: Collection[str], accounts: Collection[Account]) -> list[AccountLink]:
    """Links of people that are not among `persons`, and links of accounts that are among `accounts`."""
    return [one for one in all_links(tx) if one.person not in persons or (one.channel, one.account) in accounts]


def put_code(tx: Tx, code_hash: str, issued: LinkCode) -> None:
    """A person has one code at a time: an earlier one is deleted."""
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
    """`message`: is sent to the account that asked for the code, from now on."""
    now = micros(tx.now)
    tx.sql.run(
        "UPDATE link_code SET spent_at = ?, word = ?, word_due_at = ? WHERE hash = ?", now, message, now, code_hash
    )


def failed_attempts(tx: Tx, account: Account) -> int:
    """How many wrong codes from that account still count."""
    found = tx.sql.scalar(
        "SELECT tries FROM link_try WHERE place = ? AND account = ? AND until > ?", *account, micros(tx.now)
    )
    return int(found or 0)


def save_failed_attempts(tx: Tx, account: Account, count: int, *, lasting: timedelta) -> None:
    row = (*account, count, micros(tx.now + lasting))
    kept = "ON CONFLICT (place, account) DO UPDATE SET tries = excluded.tries, until = excluded.until"
    tx.sql.insert("link_try", ("place", "account", "tries", "until"), [row], kept)


def delete_old(tx: Tx, codes_before: datetime) -> None:
    """Delete codes that expired before then, also those with an unsent message, and attempts that count no longer."""
    tx.sql.run("DELETE FROM link_code WHERE until < ?", micros(codes_before))
    tx.sql.run("DELETE FROM link_try WHERE until <= ?", micros(tx.now))


def _link(row: Row) -> AccountLink:
    place, account, person, at, by = row
    return AccountLink(channel=place, account=account, person=person, at=moment(at), by=by)
