"""What single accounts are to be told: what came of a linking code, a yes that counts no longer, a plan that stopped.

The word waits in its row until somebody has told it: this tick, or the answer to whatever its owner says next
from that account. That answer is all there is where a channel cannot say a line of its own, or is refused for good.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from bot.delivery import LONGEST_RETRY
from bot.ports import Speaks, Undelivered
from bot.store import links, notices
from bot.store.engine import Store
from bot.store.links import Word
from bot.store.sql import Sql
from bot.store.tx import Tx

logger = logging.getLogger(__name__)

#: After so long a word that was not told is tried again, and by then another process may do it.
_AGAIN = timedelta(seconds=30)


class _Box(Protocol):
    """Where words wait."""

    def words_wait(self, sql: Sql, now: datetime) -> bool: ...
    def claim_words(self, tx: Tx, lease: timedelta) -> list[Word]: ...
    def leave_word(self, tx: Tx, word: Word, again: timedelta | None = None) -> None: ...
    def told(self, tx: Tx, word: Word) -> None: ...


def tell(store: Store, speaks: Mapping[str, Speaks]) -> None:
    """All words that are due. `speaks`: the channels that can say a line of their own, by name."""
    boxes: tuple[_Box, ...] = (links, notices)
    for box in boxes:
        with store.read() as seen:
            if not box.words_wait(seen.sql, store.now()):
                continue
        with store.begin() as tx:
            due = box.claim_words(tx, _AGAIN)
        for word in due:
            _tell(store, box, speaks.get(word.place), word)


def _tell(store: Store, box: _Box, channel: Speaks | None, word: Word) -> None:
    if channel is None:
        with store.begin() as tx:
            box.leave_word(tx, word)
        return
    try:
        channel.say(word.said, word.account)
    except Undelivered as trouble:
        about = {"place": word.place, "account": word.account, "why": trouble.said}
        logger.warning("an account is not told what it is to be told", extra=about)
        with store.begin() as tx:
            box.leave_word(tx, word, None if trouble.permanent else _later(trouble.after))
        return
    with store.begin() as tx:
        box.told(tx, word)


def _later(after: timedelta | None) -> timedelta:
    return min(max(_AGAIN, after or _AGAIN), LONGEST_RETRY)
