"""Whether an alert would be stored now: one is stored the way of all others and taken back, and one row stays.

The trap: a database that answers a question need not take a commit (its disk is full, it is read-only), and a file that
takes a commit need not have the pages that an alert needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.model import Alert, Delivered
from bot.owing import Mouth
from bot.raising import raise_own
from bot.rules import Rules
from bot.store.tx import Tx

GROUP = "vakhta/readiness"


def prove(tx: Tx, rules: Rules, mouths: Sequence[Mouth]) -> None:
    """Raises what an alert's storing would raise. The same row is written each time, so that nothing grows."""
    if not tx.sql.postgres:  # it looks after its own pages, and would have to clear away what is taken back
        with tx.taken_back():
            raise_own(tx, _delivered(tx.now), rules, mouths)
    tx.leave_a_mark(GROUP)


def _delivered(now: datetime) -> Delivered:
    alert = Alert(
        source="vakhta",
        group=GROUP,
        fingerprint="readiness",
        firing=True,
        labels={"alertname": "Readiness", "severity": "info"},
        notes={},
        starts_at=now,
    )
    return Delivered(source="vakhta", group=GROUP, alerts=(alert,))
