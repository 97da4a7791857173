"""Checkpoints SQLite's write-ahead log (copies it into the database file), on a thread of its own.

A checkpoint inside a commit would make that commit the slowest of the second.
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

#: How often the log is checkpointed. It has to stay short, because each page that is read is first looked up in it: at
#: one second, a storm's rate was a fifth lower.
CHECKPOINT_EVERY_S = 0.2
#: When nothing is left to copy, a commit of this process wakes the thread. Commits of other processes, such as
#: `vakhta ask`, do not, so the thread also looks this often.
LOOK_EVERY_S = 5.0
#: Past the first size the log is restarted, for which writers wait; past the second the file is truncated as well.
RESTART_LOG_AT_PAGES = 1024
CUT_LOG_AT_BYTES = 64 * 1024 * 1024

#: Opening the file raises SQLAlchemy's errors, a checkpoint the driver's. None of them may end the thread.
_FAILURES = (*TROUBLES, sqlite3.DatabaseError)


class WalCheckpointer:
    """Copies SQLite's log into the database file, off the commit path.

    Under a steady load new pages arrive while the others are copied, so the log would never restart. The last few pages
    are therefore copied while writers wait; copying all of them that way would delay webhooks by 40 ms and more.
    """

    def __init__(self, path: Path, turns: AbstractContextManager[None], lost: Callable[[], None]) -> None:
        """`turns`: the lock of this process's writers. `lost` is called when the log was deleted under the bot: commits
        from then on would be lost.
        """
        self._path = path
        self._lost = lost
        self._inode: int | None = None  #: of the log, once there is one
        self._turns = turns
        self._log = path.with_name(path.name + "-wal")
        self._stopping = threading.Event()
        self._more = threading.Event()  #: set when a commit may have been written since the last checkpoint began
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
            _checkpoint(engine, "PASSIVE")  # opens the log, so that it can be saved if it is deleted later
        while not self._stopping.wait(CHECKPOINT_EVERY_S):
            self._more.clear()
            if self._copy_log(engine):
                self._more.wait(LOOK_EVERY_S)
        engine.dispose()

    def _copy_log(self, engine: Engine) -> bool:
        """Whether all of the log is in the database file now."""
        size, inode = self._log_size_and_inode()
        if self._inode is not None and inode != self._inode:
            self._save(engine)
            return False
        self._inode = inode
        if not size:
            return True
        try:
            pages, left = _checkpoint(engine, "PASSIVE")
            if pages > RESTART_LOG_AT_PAGES:
                with self._turns:
                    _, left = _checkpoint(engine, "TRUNCATE" if size > CUT_LOG_AT_BYTES else "PASSIVE")
        except _FAILURES:
            return False  # another process is writing, or the file is in trouble, which its writers report
        return not left

    def _log_size_and_inode(self) -> tuple[int, int | None]:
        try:
            found = self._log.stat()
        except FileNotFoundError:
            return 0, None
        return found.st_size, found.st_ino

    def _save(self, engine: Engine) -> None:
        """SQLite goes on writing to a deleted log, which nobody will ever read: it is copied for the last time."""
        self._lost()
        self._stopping.set()
        try:
            with self._turns:
                _checkpoint(engine, "PASSIVE")
        except _FAILURES as trouble:
            logger.critical("the last commits may be lost", extra={"why": str(trouble)})
        logger.critical("the database's log was deleted; nothing more is stored until the bot is restarted")


def _checkpoint(engine: Engine, how: str) -> tuple[int, int]:
    """Returns how many pages are in the log, and how many of them are not in the database file yet."""
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA busy_timeout=0")  # a long reader keeps the log long, but no writer waits for it
        cursor.execute(f"PRAGMA wal_checkpoint({how})")
        ((_, pages, copied),) = cursor.fetchall()
        return int(pages), int(pages) - int(copied)
    finally:
        raw.close()
