"""Alerts folded into incidents inside one transaction: what the intake does for all, and the bot for its own.

An alert of the bot's own that belongs to a change is raised in the change's commit. Handed to the intake afterwards it
would be lost with a process that dies in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.alerts.classification import AlertRules
from bot.alerts.correlation import Correlator
from bot.core.alert import Alert, AlertBatch, Severity
from bot.core.incident import Committed
from bot.core.message import Subscription
from bot.incidents import timeline
from bot.store.alert_lookup import AlertLookup, lookup
from bot.store.sql import Row
from bot.store.transaction import Tx


def ingest_own(
    tx: Tx, batch: AlertBatch, rules: AlertRules, subscriptions: Sequence[Subscription]
) -> tuple[list[int], Committed]:
    """Fold one delivery of the bot's own; returns the incidents that it changed, and what is owed for them."""
    # Whatever the settings make of other senders' words, the bot's own severities are what they say.
    own = replace(rules, severities={str(one): one for one in Severity}, severity_labels=("severity",))
    fold = Correlator(tx, own, tx.now)
    load(tx, fold, batch.alerts)
    changed = fold.add(batch)
    return changed, write(tx, fold, subscriptions)


def lookup_of(alerts: Sequence[Alert], *, postgres: bool) -> AlertLookup:
    """What is stored of these?"""
    prints = {(one.source, one.fingerprint) for one in alerts}
    return lookup(prints, {(one.source, one.group) for one in alerts}, postgres=postgres)


def load(tx: Tx, correlator: Correlator, alerts: Sequence[Alert]) -> None:
    """What is stored of these, asked for all at once."""
    asked = lookup_of(alerts, postgres=tx.sql.postgres)
    load_answers(tx, correlator, asked, tx.sql.run_queries(asked.queries))


def load_answers(tx: Tx, correlator: Correlator, of: AlertLookup, answers: Sequence[Sequence[Row]]) -> None:
    """Let the fold know what the answers tell, and what else belongs to that."""
    found = tx.read_answers(of, answers)
    held = {one.incident_id for one in found.states.values() if one.incident_id is not None}
    known = {one.id: one for one in found.newest.values()}
    known |= tx.incidents([of for of in held if of not in known])
    correlator.load(found.states, known.values())


def write(tx: Tx, correlator: Correlator, subscriptions: Sequence[Subscription]) -> Committed:
    """Store what was folded since the last time."""
    folded = correlator.drain()
    written = timeline.write(tx, folded.changes, subscriptions)
    tx.put_alerts(folded.new_episodes)
    tx.update_alerts(folded.updated_episodes)
    return written
