"""What single accounts are to be told: what came of a linking code, a yes that counts no longer, a plan that stopped.

The word waits in its row until somebody has told it: this tick, or the answer to whatever its owner says next
from that account. That answer is all there is where a channel cannot say a line of its own, or is refused for good.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from bot.core.channel import Messenger
from bot.core.errors import Undelivered
from bot.notifications.sender import LONGEST_RETRY
from bot.store import account_links, account_messages
from bot.store.account_links import AccountMessage
from bot.store.engine import Store
from bot.store.sql import Sql
from bot.store.transaction import Tx

logger = logging.getLogger(__name__)

#: After so long a word that was not told is tried again, and by then another process may do it.
_AGAIN = timedelta(seconds=30)


class _Box(Protocol):
    """Where words wait."""

    def messages_due(self, sql: Sql, now: datetime) -> bool: ...
    def claim_messages(self, tx: Tx, lease: timedelta) -> list[AccountMessage]: ...
    def retry_message(self, tx: Tx, message: AccountMessage, retry_after: timedelta | None = None) -> None: ...
    def mark_notified(self, tx: Tx, message: AccountMessage) -> None: ...


def send_account_messages(store: Store, messengers: Mapping[str, Messenger]) -> None:
    """All words that are due. `speaks`: the channels that can say a line of their own, by name."""
    boxes: tuple[_Box, ...] = (account_links, account_messages)
    for box in boxes:
        with store.read() as seen:
            if not box.messages_due(seen.sql, store.now()):
                continue
        with store.begin() as tx:
            due = box.claim_messages(tx, _AGAIN)
        for word in due:
            _tell(store, box, messengers.get(word.channel), word)


def _tell(store: Store, box: _Box, channel: Messenger | None, word: AccountMessage) -> None:
    if channel is None:
        with store.begin() as tx:
            box.retry_message(tx, word)
        return
    try:
        channel.post(word.text, word.account)
    except Undelivered as trouble:
        about = {"place": word.channel, "account": word.account, "why": trouble.message}
        logger.warning("an account is not told what it is to be told", extra=about)
        with store.begin() as tx:
            box.retry_message(tx, word, None if trouble.permanent else _later(trouble.retry_after))
        return
    with store.begin() as tx:
        box.mark_notified(tx, word)


def _later(after: timedelta | None) -> timedelta:
    return min(max(_AGAIN, after or _AGAIN), LONGEST_RETRY)
