"""Tests whether an alert would be stored now: one is stored like any other and rolled back, and one row is written.

The trap: a database that answers queries may still refuse a commit (its disk is full, it is read-only), and a file that
accepts a commit may still lack the pages that an alert needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.alerts.classification import AlertRules
from bot.alerts.ingest import ingest_own
from bot.core.alert import Alert, AlertBatch
from bot.core.message import Subscription
from bot.store.transaction import Tx

GROUP = "vakhta/readiness"


def prove(tx: Tx, rules: AlertRules, subscriptions: Sequence[Subscription]) -> None:
    """Raises what storing an alert would raise. The same row is written each time, so that nothing grows."""
    if not tx.sql.postgres:  # PostgreSQL checks its own pages, and would have to vacuum rows that are rolled back
        with tx.rolled_back():
            ingest_own(tx, _probe_batch(tx.now), rules, subscriptions)
    tx.write_probe_row(GROUP)


def _probe_batch(now: datetime) -> AlertBatch:
    alert = Alert(
        source="vakhta",
        group=GROUP,
        fingerprint="readiness",
        firing=True,
        labels={"alertname": "Readiness", "severity": "info"},
        annotations={},
        starts_at=now,
    )
    return AlertBatch(source="vakhta", group=GROUP, alerts=(alert,))
