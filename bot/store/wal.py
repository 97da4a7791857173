"""SQLite's write-ahead log, folded into the file on a thread of its own.

Inside a commit, a checkpoint is the slowest commit of the second.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from sqlalchemy import Engine

from bot.store.connections import TROUBLES, open_sqlite

logger = logging.getLogger(__name__)

#: The write-ahead log is folded into the file this often, so that it stays short: each page that is read is first
#: looked for in it. At one second instead, a storm's rate was a fifth lower.
CHECKPOINT_EVERY_S = 0.2
#: When all of it is folded, a commit of ours wakes the thread. Those of other processes, such as `vakhta ask`, do not.
LOOK_EVERY_S = 5.0
#: Past the first figure it begins anew, for which the writers wait; past the second it is cut as well.
RESTART_LOG_AT_PAGES = 1024
CUT_LOG_AT_BYTES = 64 * 1024 * 1024

#: Opening the file fails with SQLAlchemy's errors, a checkpoint with the driver's own. None of them may end the thread.
_FAILURES = (*TROUBLES, sqlite3.DatabaseError)


class WalCheckpointer:
    """Folds SQLite's log into the file, off the commit path.

    Under a steady load there are always new pages in the log when all others are folded, so it would never begin anew.
    The last few are folded in a turn of its own, while nobody writes; folding all of them there would keep webhooks
    waiting for 40 ms and more.
    """

    def __init__(self, path: Path, turns: AbstractContextManager[None], lost: Callable[[], None]) -> None:
        """`lost` is called where the log was deleted under the bot: what is committed from then on would be gone."""
        self._path = path
        self._lost = lost
        self._is: int | None = None  #: the log's inode, once there is one
        self._turns = turns
        self._log = path.with_name(path.name + "-wal")
        self._stopping = threading.Event()
        self._more = threading.Event()  #: set where something may have been written since the last folding began
        self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._more.set()
        if self._thread.is_alive():
            self._thread.join()

    def written(self) -> None:
        """A commit has added to the log."""
        if not self._more.is_set():
            self._more.set()

    def _run(self) -> None:
        engine = open_sqlite(str(self._path), self._path)
        with suppress(*_FAILURES):
            _checkpoint(engine, "PASSIVE")  # so that this connection has the log open that may be deleted later
        while not self._stopping.wait(CHECKPOINT_EVERY_S):
            self._more.clear()
            if self._fold(engine):
                self._more.wait(LOOK_EVERY_S)
        engine.dispose()

    def _fold(self, engine: Engine) -> bool:
        """Whether all of the log is in the file now."""
        size, inode = self._log_now()
        if self._is is not None and inode != self._is:
            self._save(engine)
            return False
        self._is = inode
        if not size:
            return True
        try:
            pages, left = _checkpoint(engine, "PASSIVE")
            if pages > RESTART_LOG_AT_PAGES:
                with self._turns:
                    _, left = _checkpoint(engine, "TRUNCATE" if size > CUT_LOG_AT_BYTES else "PASSIVE")
        except _FAILURES:
            return False  # another process is writing, or the file is in trouble, which its writers tell
        return not left

    def _log_now(self) -> tuple[int, int | None]:
        """Its size and its inode."""
        try:
            found = self._log.stat()
        except FileNotFoundError:
            return 0, None
        return found.st_size, found.st_ino

    def _save(self, engine: Engine) -> None:
        """SQLite writes on to a log that was deleted, which nobody will ever read: it is folded for the last time."""
        self._lost()
        self._stopping.set()
        try:
            with self._turns:
                _checkpoint(engine, "PASSIVE")
        except _FAILURES as trouble:
            logger.critical("what was stored last may be lost", extra={"why": str(trouble)})
        logger.critical("the database's log was deleted; nothing more is stored until the bot is restarted")


def _checkpoint(engine: Engine, how: str) -> tuple[int, int]:
    """Returns how many pages are in the log, folded or not, and how many of them are not."""
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA busy_timeout=0")  # whoever reads for long keeps the log long, and no writer waiting
        cursor.execute(f"PRAGMA wal_checkpoint({how})")
        ((_, pages, folded),) = cursor.fetchall()
        return int(pages), int(pages) - int(folded)
    finally:
        raw.close()
