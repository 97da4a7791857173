"""Whoever asked for a linking code is told at once what came of it, where they asked for it in private.

The word waits in the code's row until somebody has told it: this tick, or the answer to whatever its owner says next
from that account. That answer is all there is where a channel cannot say a line of its own, or is refused for good.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta

from bot.delivery import LONGEST_RETRY
from bot.ports import Speaks, Undelivered
from bot.store import links
from bot.store.engine import Store
from bot.store.links import Word

logger = logging.getLogger(__name__)

#: After so long a word that was not told is tried again, and by then another process may do it.
_AGAIN = timedelta(seconds=30)


def tell(store: Store, speaks: Mapping[str, Speaks]) -> None:
    """All words that are due. `speaks`: the channels that can say a line of their own, by name."""
    with store.read() as seen:
        if not links.words_wait(seen.sql, store.now()):
            return
    with store.begin() as tx:
        due = links.claim_words(tx, _AGAIN)
    for word in due:
        _tell(store, speaks.get(word.place), word)


def _tell(store: Store, channel: Speaks | None, word: Word) -> None:
    if channel is None:
        with store.begin() as tx:
            links.leave_word(tx, word)
        return
    try:
        channel.say(word.said, word.account)
    except Undelivered as trouble:
        about = {"place": word.place, "account": word.account, "why": trouble.said}
        logger.warning("whoever asked for a linking code is not told what came of it", extra=about)
        with store.begin() as tx:
            links.leave_word(tx, word, None if trouble.permanent else _later(trouble.after))
        return
    with store.begin() as tx:
        links.told(tx, word)


def _later(after: timedelta | None) -> timedelta:
    return min(max(_AGAIN, after or _AGAIN), LONGEST_RETRY)
