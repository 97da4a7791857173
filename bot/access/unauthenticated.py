"""Requests that failed authentication: counted at once, and in the audit log a few seconds later.

The trap: anybody can send any number of them. So they are added up in memory, one audit entry for each channel,
reason and interval; a process that is killed loses the counts that it has not written yet.
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

#: Seconds between two audit entries of the same channel and reason.
EVERY_S = 10


class UnauthenticatedRequests:
    """Used from many threads."""

    def __init__(self, store: Store, meters: Metrics) -> None:
        self._store = store
        self._failures = meters.auth_failures_total
        self._refused: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def count(self, channel: str, code: str) -> None:
        """`code`: the refusal's stable code. Both values are the bot's own, never taken from the request."""
        self._failures.labels(channel).inc()
        with self._lock:
            self._refused[channel, code] += 1

    def record(self) -> None:
        """Write the counts since the last time; they are kept for the next time if the store is unavailable."""
        with self._lock:
            counted, self._refused = self._refused, Counter()
        if not counted:
            return
        try:
            with self._store.begin(audit_seals.LANE) as tx:
                audit_log.append(tx, [_entry(*where, count) for where, count in sorted(counted.items())])
        except Unavailable as trouble:
            logger.warning("unauthenticated requests are not in the audit log yet", extra={"why": str(trouble)})
            with self._lock:
                self._refused.update(counted)


def _entry(channel: str, code: str, count: int) -> AuditEntry:
    requests = "1 request" if count == 1 else f"{count} requests"
    details = {"reason": code, "count": str(count)}
    return AuditEntry(
        code=Code.NOT_GENUINE,
        by="bot",
        message=f"{requests} refused, because the sender is not authenticated: {code}",
        channel=channel,
        details=details,
    )
