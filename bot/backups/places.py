"""The stores of the settings by name, and what their engines can do, as the verbs about backups need them."""

from __future__ import annotations

from bot.backups import reports
from bot.core.action import Tools
from bot.core.backup import BackupStore, BackupTaker, CutoverEngine, Restorer
from bot.core.errors import Rejected


def store_of(tools: Tools, name: str) -> BackupStore:
    """Raises `Rejected`: there is no such store."""
    return reports.store_of(reports.backups_of(tools), name)


def restorer_of(store: BackupStore) -> Restorer:
    """Raises `Rejected`: its engine is read only."""
    if isinstance(store.engine, Restorer):
        return store.engine
    raise _cannot(store, "restores", "Restore it with the tool itself; `dr` prints the commands.")


def cutover_engine_of(store: BackupStore) -> CutoverEngine:
    """Raises `Rejected`: it restores, and a person has to cut over."""
    if isinstance(store.engine, CutoverEngine):
        return store.engine
    raise _cannot(store, "cuts over", "Point the clients to the copy by hand, or copy from it what is missing.")


def taker_of(store: BackupStore) -> BackupTaker:
    """Raises `Rejected`: it makes no backups."""
    if isinstance(store.engine, BackupTaker):
        return store.engine
    raise _cannot(store, "makes backups", "Its own schedule makes them; `backups` shows the newest.")


def _cannot(store: BackupStore, what: str, instead: str) -> Rejected:
    message = f"The bot never {what} with {store.engine.title} ({store.name}). Nothing was done. {instead}"
    return Rejected(message, code="not_able", status=409)
