"""Checks SQLite's file for damage, once, in the background: SQLite itself notices a damaged page only when it is used.

Each table is checked in a snapshot of its own: one snapshot for all would block checkpoints of the write-ahead log.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

logger = logging.getLogger(__name__)

#: At most so many faults of a table are reported.
_MOST = 3


class IntegrityCheck:
    """`fault` is known some time after `start`. PostgreSQL checks its own pages; there it stays None."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-check", daemon=True)
        self.fault: str | None = None  #: which tables are damaged

    def start(self) -> None:
        if self._path is not None:
            self._thread.start()

    def stop(self) -> None:
        """The check ends after the current table; this does not wait for it."""
        self._stopping.set()

    def _run(self) -> None:
        assert self._path is not None
        try:
            faults = dict(self._look(self._path))
        except sqlite3.Error as trouble:
            faults = {"the whole file": str(trouble)}
        if self._stopping.is_set():
            return
        for where, what in faults.items():
            logger.critical("the database is damaged", extra={"where": where, "what": what})
        if faults:
            self.fault = f"damaged: {', '.join(faults)}"
        else:
            logger.info("the database file is whole")

    def _look(self, path: Path) -> Iterator[tuple[str, str]]:
        """Each damaged table, and its faults."""
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)) as raw:
            for (table,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
                if self._stopping.is_set():
                    return
                try:
                    found = [row[0] for row in raw.execute(f"PRAGMA quick_check('{table}')").fetchmany(_MOST)]
                except sqlite3.DatabaseError as trouble:
                    found = [str(trouble)]
                if found != ["ok"]:
                    yield table, "; ".join(found)
