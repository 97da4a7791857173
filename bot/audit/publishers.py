"""Publishes the audit log outside of the database, each publisher on a thread of its own.

A disk or a network that hangs blocks its own thread and nothing else: neither the seals, nor another publisher, nor the
end of the process.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Protocol

from bot.audit.anchors import PutAnchor
from bot.core.errors import Rejected
from bot.store import audit_log, audit_seals
from bot.store.audit_checkpoints import Checkpoint
from bot.store.audit_seals import Sealed
from bot.store.engine import Store, Unavailable

logger = logging.getLogger(__name__)


class AnchorJournal(Protocol):
    """Gives a publisher the newest checkpoint, and records the result."""

    def newest(self) -> Checkpoint | None: ...
    def anchor_stored(self, size: int, sink: str, receipt: str) -> None: ...
    def anchor_failed(self, sink: str, reason: str) -> None: ...


class Publisher:
    """Calls `act` on a thread of its own, whenever it is woken."""

    def __init__(self, name: str) -> None:
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def end(self) -> None:
        """Act once more, then stop."""
        self._stopping = True
        self.wake()

    def join(self, within_s: float) -> None:
        """Wait for its end; a thread that hangs is left behind."""
        if self._thread.is_alive():
            self._thread.join(within_s)

    def act(self) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        last = False
        while not last:
            self._woken.wait()
            self._woken.clear()
            last = self._stopping  # read before it acts: for work that arrives meanwhile it acts once more
            self._act_safely()

    def _act_safely(self) -> None:
        try:
            self.act()
        except Unavailable as trouble:
            logger.warning("the audit log is not published", extra={"why": str(trouble)})
        except Exception:
            logger.exception("the audit log is not published")


class AnchorPublisher(Publisher):
    """Stores the newest checkpoint in one anchor, until it is there. It covers an older one that failed.

    `every`: the least time between one that was stored and the next.
    """

    def __init__(self, name: str, put: PutAnchor, journal: AnchorJournal, every: timedelta) -> None:
        super().__init__(f"audit-{name}")
        self._name = name
        self._put = put
        self._told = journal
        self._every_s = every.total_seconds()
        self._size = 0
        self._after = monotonic()

    def act(self) -> None:
        newest = self._told.newest()
        if newest is None or newest.tree.size <= self._size or monotonic() < self._after:
            return
        try:
            receipt = self._put(newest.tree.size, newest.root, newest.note)
        except Rejected as refusal:
            self._told.anchor_failed(self._name, refusal.message)
            return
        self._size = newest.tree.size
        self._after = monotonic() + self._every_s
        self._told.anchor_stored(newest.tree.size, self._name, receipt)


class LinePublisher(Publisher):
    """Writes the entries that this process has sealed, one line each, ordered by position."""

    def __init__(self, store: Store, write: Callable[[bytes], object], failed: Callable[[str, str], None]) -> None:
        super().__init__("audit-stdout")
        self._store = store
        self._write = write
        self._failed = failed
        self._owed: deque[tuple[int, int]] = deque()  # (first position, the one after the last)

    def add(self, sealed: Sealed) -> None:
        self._owed.append((sealed.first, sealed.first + sealed.count))
        self.wake()

    def act(self) -> None:
        while self._owed:
            first, end = self._owed[0]
            with self._store.read() as seen:
                found = audit_log.sealed_entries(seen.sql, first, min(end, first + audit_seals.BATCH_SIZE))
            try:
                self._write(b"".join(map(entry_line, found)))
            except OSError as error:
                self._failed("stdout", str(error))
                return
            self._owed.popleft()
            if found and first + len(found) < end:
                self._owed.appendleft((first + len(found), end))


def entry_line(one: audit_log.RecordedEntry) -> bytes:
    """An entry for other systems as a JSON object: its position, its leaf, and exactly the bytes that were sealed."""
    leaf = "null" if one.leaf is None else f'"{one.leaf.hex()}"'
    pos = "null" if one.pos is None else one.pos
    return f'{{"pos":{pos},"leaf":{leaf},"entry":'.encode() + one.body + b"}\n"
