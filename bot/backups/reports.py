"""The report of a store for a command: from the bot's own rows, and where they are old by a look made now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from bot.backups import judging, looking
from bot.backups.judging import StoreReport
from bot.core.action import Tools
from bot.core.backup import Backups, BackupStore, Drill
from bot.core.errors import Rejected


def backups_of(tools: Tools) -> Backups:
    """Raises `Rejected`: the settings have no stores."""
    if tools.backups is None:
        message = "The settings have no stores of backups. Nothing was done. Add them under `backups.stores`."
        raise Rejected(message, code="no_backups", status=409)
    return tools.backups


def store_of(backups: Backups, name: str) -> BackupStore:
    """Raises `Rejected`: there is no such store."""
    found = backups.stores.get(name)
    if found is None:
        known = ", ".join(backups.stores)
        raise Rejected(f"There is no store {name}. Nothing was done. Known: {known}.", code="no_store", status=404)
    return found


def look_again(backups: Backups, store: BackupStore, now: Callable[[], datetime]) -> None:
    """Look now, since the store has just been changed: `backups` must not show how it was before."""
    backups.records.put_look(looking.look_at(store, backups.records.get_look(store.name), now))


def report_on(
    backups: Backups, store: BackupStore, now: Callable[[], datetime], *, look: bool = False
) -> tuple[StoreReport, Sequence[Drill]]:
    """The report, and the drills, the newest first. `look`: look now where the last look is old, or was none."""
    drills = backups.records.list_drills(store.name, judging.DRILLS_JUDGED)
    seen = backups.records.get_look(store.name)
    if look and (seen is None or abs(now() - seen.looked_at) > judging.STALE):
        seen = looking.look_at(store, seen, now)
        backups.records.put_look(seen)
    return judging.judge(store, seen, drills, now()), drills
