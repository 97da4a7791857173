"""Opens a log by its URL or path. Only the reader of that kind of log is imported."""

from __future__ import annotations

import importlib
from pathlib import Path

from bot.audit.verify.export import ExportedLog
from bot.audit.verify.log_reader import LogReader, UnreadableLog
from bot.audit.verify.sqlite_reader import SqliteLog

SQLITE_URL = "sqlite:///"
_SQLITE = b"SQLite format 3\x00"


def open_log(url: str) -> LogReader:
    """The log in the database of that URL, as in the settings. Raises `UnreadableLog`."""
    if url.startswith(SQLITE_URL):
        return SqliteLog(sqlite_path(url))
    log: LogReader = importlib.import_module("bot.audit.verify.postgres_reader").PostgresLog(url)
    return log


def sqlite_path(url: str) -> Path:
    return Path(url.removeprefix(SQLITE_URL).partition("?")[0])


def check_exists(path: Path) -> LogReader:
    """The log in a file or folder: an export, or a copy of a SQLite database. Raises `UnreadableLog`."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE))
    except IsADirectoryError:
        return ExportedLog(path)
    except OSError as error:
        raise UnreadableLog(f"{path} cannot be read ({error.strerror})") from None
    return SqliteLog(path) if head == _SQLITE else ExportedLog(path)
