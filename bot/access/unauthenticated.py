"""Requests that were refused for who sent them: counted at once, and on record in the audit log a few seconds later.

The trap: anybody can send them, as many as they like. So they are added up in memory, one entry for each address and
reason and span of time, and what was not written yet is lost with a process that is killed.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter

from bot.core.audit import AuditEntry, Code
from bot.lib.metrics import Metrics
from bot.store import audit_log, audit_seals
from bot.store.engine import Store, Unavailable

logger = logging.getLogger(__name__)

#: How often what was counted is written down, in seconds.
EVERY_S = 10


class UnauthenticatedRequests:
    """Used from many threads."""

    def __init__(self, store: Store, meters: Metrics) -> None:
        self._store = store
        self._failures = meters.auth_failures_total
        self._refused: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def count(self, channel: str, code: str) -> None:
        """`place`: the door; `code`: the refusal's stable word. Both are the bot's own words, never the sender's."""
        self._failures.labels(channel).inc()
        with self._lock:
            self._refused[channel, code] += 1

    def record(self) -> None:
        """Write down what was counted since the last time; kept for the next time where that cannot be."""
        with self._lock:
            counted, self._refused = self._refused, Counter()
        if not counted:
            return
        try:
            with self._store.begin(audit_seals.LANE) as tx:
                audit_log.append(tx, [_entry(*where, count) for where, count in sorted(counted.items())])
        except Unavailable as trouble:
            logger.warning("refused requests are not on record yet", extra={"why": str(trouble)})
            with self._lock:
                self._refused.update(counted)


def _entry(channel: str, code: str, count: int) -> AuditEntry:
    requests = "1 request" if count == 1 else f"{count} requests"
    more = {"reason": code, "count": str(count)}
    return AuditEntry(
        code=Code.NOT_GENUINE,
        by="bot",
        message=f"{requests} refused for who sent it: {code}",
        channel=channel,
        details=more,
    )
