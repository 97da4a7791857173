"""What single accounts are to be told, until they are: a yes that counts no longer, a plan that was stopped."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from bot.people import Account
from bot.store.links import Word
from bot.store.sql import Sql
from bot.store.times import micros
from bot.store.tx import Tx


def owe(tx: Tx, account: Account, said: str) -> None:
    row = (secrets.token_hex(16), *account, said, micros(tx.now), micros(tx.now))
    tx.sql.insert("notice", ("id", "place", "account", "said", "at", "due_at"), [row])


def take_words(tx: Tx, account: Account) -> list[str]:
    """What is still to be told to that account; it is not told again."""
    at = "FROM notice WHERE place = ? AND account = ?"
    words = [str(said) for (said,) in tx.sql.rows(f"SELECT said {at} ORDER BY at, id", *account)]
    if words:
        tx.sql.run(f"DELETE {at}", *account)
    return words


def words_wait(sql: Sql, now: datetime) -> bool:
    """Whether one is due."""
    return sql.scalar("SELECT 1 FROM notice WHERE due_at <= ? LIMIT 1", micros(now)) is not None


def claim_words(tx: Tx, lease: timedelta) -> list[Word]:
    """Those that are due; nobody else is given them within the lease."""
    claimed = "UPDATE notice SET due_at = ? WHERE due_at <= ? RETURNING id, place, account, said"
    rows = tx.sql.rows(claimed, micros(tx.now + lease), micros(tx.now))
    return [Word(code=code, place=place, account=account, said=said) for code, place, account, said in rows]


def told(tx: Tx, word: Word) -> None:
    tx.sql.run("DELETE FROM notice WHERE id = ?", word.code)


def leave_word(tx: Tx, word: Word, again: timedelta | None = None) -> None:
    """It was not told; due again after so long, or, with None, only when the account's owner speaks."""
    due = None if again is None else micros(tx.now + again)
    tx.sql.run("UPDATE notice SET due_at = ? WHERE id = ?", due, word.code)


def forget(tx: Tx, before: datetime) -> None:
    """What nobody came to hear."""
    tx.sql.run("DELETE FROM notice WHERE at < ?", micros(before))
