"""Looks at a store: reads what there is to restore from, and keeps what the last good look found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bot.backups import judging
from bot.backups.broken_engine import ask
from bot.backups.plain_names import MOST_SAID, made_plain
from bot.core.backup import BackupStore, StoreLook
from bot.core.errors import Conflict, OutcomeUnknown, Rejected
from bot.lib.redact import shown


def look_at(store: BackupStore, before: StoreLook | None, now: Callable[[], datetime]) -> StoreLook:
    """One look, made now. `before`: the last one. A store that cannot be read, or whose engine has a bug, is a
    look with a problem.
    """
    began = now()
    try:
        inventory = made_plain(ask(store.engine.inventory))
        found = StoreLook(store=store.name, looked_at=now(), inventory=inventory, read_at=began)
        ask(lambda: judging.judge(store, found, (), now()))  # What cannot be judged would break every table with it.
    except (Rejected, Conflict, OutcomeUnknown) as trouble:
        return failed(store.name, trouble.message, before, now())
    return found


def failed(store: str, problem: str, before: StoreLook | None, now: datetime) -> StoreLook:
    """A look that failed: with what the last good one found, and since when they fail."""
    since = before.problem_since if before is not None and before.problem else None
    return StoreLook(
        store=store,
        looked_at=now,
        inventory=None if before is None else before.inventory,
        read_at=None if before is None else before.read_at,
        problem=shown(problem, MOST_SAID),
        problem_since=min(since or now, now),  # a clock that was ahead would keep it from alarming
    )
