"""Whether SQLite's file is whole, looked through once, in the background: by itself a damaged page is met when used.

Table by table, each in a look of its own: one look over all would keep the log from being folded for as long.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

logger = logging.getLogger(__name__)

#: So many faults of a table are enough to know.
_MOST = 3


class IntegrityCheck:
    """`fault` is known some time after `start`; on PostgreSQL, which looks after its own pages, there never is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-check", daemon=True)
        self.fault: str | None = None  #: which tables are damaged

    def start(self) -> None:
        if self._path is not None:
            self._thread.start()

    def stop(self) -> None:
        """It ends after the table that it is at; nobody waits for that."""
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
        """Each table that is damaged, and how."""
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
