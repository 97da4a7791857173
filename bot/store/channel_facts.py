"""What channels have learned from their platforms and need after a restart, such as the id of a group that moved."""

from __future__ import annotations

import logging

from bot.store.engine import Store, Unavailable

logger = logging.getLogger(__name__)


class StoredKeptFacts:
    """Implements `core.channel.KeptFacts` for one channel."""

    def __init__(self, store: Store, channel: str) -> None:
        self._store = store
        self._channel = channel

    def recall(self, name: str) -> str | None:
        try:
            with self._store.read() as reading:
                found = reading.sql.scalar(
                    "SELECT value FROM channel_fact WHERE channel = ? AND name = ?", self._channel, name
                )
        except Unavailable as trouble:
            logger.warning("a channel's fact is not read", extra={"channel": self._channel, "why": str(trouble)})
            return None
        return None if found is None else str(found)

    def remember(self, name: str, value: str) -> bool:
        try:
            with self._store.begin(self._channel) as tx:
                tx.sql.insert(
                    "channel_fact",
                    ("channel", "name", "value"),
                    [(self._channel, name, value)],
                    "ON CONFLICT (channel, name) DO UPDATE SET value = excluded.value",
                )
        except Unavailable as trouble:
            logger.warning("a channel's fact is not kept yet", extra={"channel": self._channel, "why": str(trouble)})
            return False
        return True
