"""Sentinels: tokens that the bot writes to a store, and looks for in its copies. Pure.

The only proof of RPO for a store that nobody writes to: an idle store looks equally old whether its backups are from
today or from last month. A token that was in the store before the backup's data time, and is not in the copy, was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from bot.core.backup import BackupStore, CheckResult
from bot.lib.text import spell_moment

NAME = "sentinel"
#: A token counts for a backup only if it was written so long before the backup's data time: two clocks are compared.
MARGIN = timedelta(minutes=2)
#: A store gets a token this often at most.
_SHORTEST = timedelta(minutes=5)


def interval(store: BackupStore) -> timedelta:
    """Between two tokens: a quarter of the RPO, so that the age of the newest in a copy says whether it is kept."""
    return max(_SHORTEST, store.rpo / 4)


def token_of(store: str, at: datetime) -> str:
    """A token to be written now."""
    return f"{store} {at.isoformat()}"


def expected(written: Mapping[str, datetime], data_at: datetime) -> str:
    """The newest token that a copy with the data of that moment must hold; "" if none was written before it."""
    before = {token: at for token, at in written.items() if at <= data_at - MARGIN}
    return max(before, key=before.__getitem__, default="")


def result(token: str, written: Mapping[str, datetime], found: Mapping[str, datetime]) -> CheckResult:
    """Whether the token is in the copy."""
    wanted = f"the token of {spell_moment(written[token])}"
    if token in found:
        return CheckResult(name=NAME, expected=wanted, got="it is there", ok=True)
    newest = max(found.values(), default=None)
    got = "no token at all" if newest is None else f"the newest is of {spell_moment(newest)}"
    return CheckResult(name=NAME, expected=wanted, got=f"lost: {got}", ok=False)
