"""Messages for single accounts, kept until they are sent: an approval that no longer counts, a plan that was stopped.

Two tables hold such messages, this one and that of linking codes; one set of statements (`MessageQueue`) serves both. A
message is claimed with a lease: no other process gets it until the lease has run out.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.access import Account
from bot.store.sql import Sql
from bot.store.times import micros
from bot.store.transaction import Tx


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountMessage:
    """A message for one account."""

    id: str  #: the key of its row
    channel: str
    account: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageQueue:
    """The messages of one table. All fields are SQL of our own, and no value."""

    table: str
    key: str  #: the column that identifies a row
    text: str  #: the column of the message
    due_at: str  #: the column of the time when it is sent next; NULL: only in the answer to the account's next request
    order: str  #: the columns by which a row's age is known
    remove: str  #: the statement, up to its WHERE, after which a row has no message
    has_message: str = ""  #: a further condition, where a row may be without a message

    def take_messages(self, tx: Tx, account: Account) -> list[str]:
        """The messages for that account, oldest first. They are removed: nobody gets them again."""
        where = f"WHERE place = ? AND account = ?{self.has_message}"
        rows = tx.sql.rows(f"SELECT {self.text} FROM {self.table} {where} ORDER BY {self.order}", *account)
        if rows:
            tx.sql.run(f"{self.remove} {where}", *account)
        return [str(text) for (text,) in rows]

    def messages_due(self, sql: Sql, now: datetime) -> bool:
        """Whether a message is due."""
        found = sql.scalar(f"SELECT 1 FROM {self.table} WHERE {self.due_at} <= ? LIMIT 1", micros(now))
        return found is not None

    def claim_messages(self, tx: Tx, lease: timedelta) -> list[AccountMessage]:
        """The messages that are due; nobody else gets them within the lease."""
        rows = tx.sql.rows(
            f"UPDATE {self.table} SET {self.due_at} = ? WHERE {self.due_at} <= ?"
            f" RETURNING {self.key}, place, account, {self.text}",
            micros(tx.now + lease),
            micros(tx.now),
        )
        return [AccountMessage(id=key, channel=place, account=account, text=text) for key, place, account, text in rows]

    def mark_notified(self, tx: Tx, message: AccountMessage) -> None:
        tx.sql.run(f"{self.remove} WHERE {self.key} = ?", message.id)

    def retry_message(self, tx: Tx, message: AccountMessage, retry_after: timedelta | None = None) -> None:
        """It was not sent; it is due again after that time. None: only when the account's owner sends a request."""
        due = None if retry_after is None else micros(tx.now + retry_after)
        tx.sql.run(f"UPDATE {self.table} SET {self.due_at} = ? WHERE {self.key} = ?{self.has_message}", due, message.id)


MESSAGES = MessageQueue(
    table="notice", key="id", text="said", due_at="due_at", order="at, id", remove="DELETE FROM notice"
)


def enqueue(tx: Tx, account: Account, text: str) -> None:
    row = (secrets.token_hex(16), *account, text, micros(tx.now), micros(tx.now))
    tx.sql.insert("notice", ("id", "place", "account", "said", "at", "due_at"), [row])


def delete_old(tx: Tx, before: datetime) -> None:
    """Delete messages that are older than that and that nobody has read."""
    tx.sql.run("DELETE FROM notice WHERE at < ?", micros(before))
