"""What single accounts are to be told, until they are: a yes that counts no longer, a plan that was stopped."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from bot.core.access import Account
from bot.store.account_links import AccountMessage
from bot.store.sql import Sql
from bot.store.times import micros
from bot.store.transaction import Tx


def enqueue(tx: Tx, account: Account, text: str) -> None:
    row = (secrets.token_hex(16), *account, text, micros(tx.now), micros(tx.now))
    tx.sql.insert("notice", ("id", "place", "account", "said", "at", "due_at"), [row])


def take_messages(tx: Tx, account: Account) -> list[str]:
    """What is still to be told to that account; it is not told again."""
    at = "FROM notice WHERE place = ? AND account = ?"
    words = [str(message) for (message,) in tx.sql.rows(f"SELECT said {at} ORDER BY at, id", *account)]
    if words:
        tx.sql.run(f"DELETE {at}", *account)
    return words


def messages_due(sql: Sql, now: datetime) -> bool:
    """Whether one is due."""
    return sql.scalar("SELECT 1 FROM notice WHERE due_at <= ? LIMIT 1", micros(now)) is not None


def claim_messages(tx: Tx, lease: timedelta) -> list[AccountMessage]:
    """Those that are due; nobody else is given them within the lease."""
    claimed = "UPDATE notice SET due_at = ? WHERE due_at <= ? RETURNING id, place, account, said"
    rows = tx.sql.rows(claimed, micros(tx.now + lease), micros(tx.now))
    return [
        AccountMessage(id=code, channel=place, account=account, text=message) for code, place, account, message in rows
    ]


def mark_notified(tx: Tx, message: AccountMessage) -> None:
    tx.sql.run("DELETE FROM notice WHERE id = ?", message.id)


def retry_message(tx: Tx, message: AccountMessage, retry_after: timedelta | None = None) -> None:
    """It was not told; due again after so long, or, with None, only when the account's owner speaks."""
    due = None if retry_after is None else micros(tx.now + retry_after)
    tx.sql.run("UPDATE notice SET due_at = ? WHERE id = ?", due, message.id)


def delete_old(tx: Tx, before: datetime) -> None:
    """What nobody came to hear."""
    tx.sql.run("DELETE FROM notice WHERE at < ?", micros(before))
