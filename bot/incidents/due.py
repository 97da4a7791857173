"""Decides about incidents whose `look_at` has come: page again, or end one that flapped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bot.core.incident import Committed
from bot.core.message import Subscription
from bot.incidents import lifecycle, timeline
from bot.incidents.transitions import LookAgain
from bot.store.transaction import Tx


def look_at_due_incidents(tx: Tx, quiet: timedelta, subscriptions: Sequence[Subscription]) -> Committed:
    """Decide by the stored state alone, in one transaction, so that a second replica finds nothing left to do.

    Args:
        quiet: for how long nothing has fired where an incident that flapped is due.
    """
    changes = [lifecycle.change(one, LookAgain(quiet=quiet), now=tx.now) for one in tx.due_incidents()]
    written = timeline.write(tx, changes, subscriptions)
    settled = [change.incident for change in changes if not change.events]
    if settled:
        tx.put_incidents(settled)
    return written
