"""What `vakhta check --live` says of one store: whether anything could be restored as it stands."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from bot.backups.describe import spell_bytes
from bot.backups.judging import why_unusable
from bot.core.backup import Backup, BackupStore, Inventory
from bot.core.errors import OutcomeUnknown, Rejected
from bot.core.live_check import LiveAnswer, failed, fault, no_answer, ok
from bot.lib.text import spell_moment


def ask_store(store: BackupStore, now: datetime) -> LiveAnswer:
    """Reads the store once. Changes nothing."""
    try:
        found = store.engine.inventory()
    except OutcomeUnknown as trouble:
        return no_answer(trouble.message)
    except Rejected as trouble:
        return failed(store.engine.title, trouble.message, refused=trouble.status < HTTPStatus.INTERNAL_SERVER_ERROR)
    if found.blockers:
        return fault(f"Nothing could be restored as it stands: {' '.join(found.blockers)}")
    usable = next((one for one in found.backups if not why_unusable(one, now)), None)
    if usable is None and found.window is None:
        return fault(f"Nothing could be restored: {_why_not(found, now)}")
    return ok(f"{store.engine.title}: {', '.join(filter(None, (_counted(found), _newest(usable), _window(found))))}.")


def _why_not(found: Inventory, now: datetime) -> str:
    if not found.backups:
        return "there are no backups."
    newest = found.backups[0]
    return f"no backup is usable; the newest, {newest.id}: {why_unusable(newest, now)}"


def _counted(found: Inventory) -> str:
    number = len(found.backups)
    return f"{number} backup{'s' if number > 1 else ''}" if number else ""


def _newest(usable: Backup | None) -> str:
    if usable is None:
        return ""
    return f"the newest usable one is {usable.id} of {spell_moment(usable.data_at)}, {spell_bytes(usable.size_bytes)}"


def _window(found: Inventory) -> str:
    if found.window is None:
        return ""
    return f"any moment from {spell_moment(found.window.earliest)} to {spell_moment(found.window.latest)}"
