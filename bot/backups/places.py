"""The stores of the settings by name, and what their engines can do, as the verbs about backups need them."""

from __future__ import annotations

from bot.core.action import Tools
from bot.core.backup import Backups, BackupStore, BackupTaker, CutoverEngine, Restorer
from bot.core.errors import Rejected
from bot.lib.similar_words import offer, similar


def backups_of(tools: Tools) -> Backups:
    """Raises `Rejected`: none are set up."""
    if tools.backups is None or not tools.backups.stores:
        message = "No stores are set up, under `backups.stores`. Nothing was done."
        raise Rejected(message, code="no_stores", status=404)
    return tools.backups


def store_of(tools: Tools, name: str) -> BackupStore:
    """By its whole name, or by its last part where only one store has it. Raises `Rejected`."""
    stores = backups_of(tools).stores
    if name in stores:
        return stores[name]
    meant = [one for one in stores if one.endswith(f"/{name}")]
    near = meant or similar(name, stores)
    known = "" if near else f" There are {', '.join(sorted(stores)[:10])}."
    raise Rejected(f"There is no store {name!r}.{offer(near)}{known} Nothing was done.", code="no_store", status=404)


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
