"""Correlates alerts and writes the result inside one transaction: for the intake, and for the bot's own alerts.

An own alert that belongs to a change is ingested in that change's transaction. Given to the intake afterwards, it would
be lost if the process died in between.
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
    """Ingest one delivery of the bot's own; returns the incidents that it changed, and what was written."""
    # The settings map the severities of other senders; the bot's own severities are taken as they are.
    own = replace(rules, severities={str(one): one for one in Severity}, severity_labels=("severity",))
    return ingest(tx, batch, own, subscriptions)


def ingest(
    tx: Tx, batch: AlertBatch, rules: AlertRules, subscriptions: Sequence[Subscription]
) -> tuple[list[int], Committed]:
    """Ingest one delivery; returns the incidents that it changed, and what was written."""
    correlator = Correlator(tx, rules, tx.now)
    load(tx, correlator, batch.alerts)
    changed = correlator.add(batch)
    return changed, write(tx, correlator, subscriptions)


def lookup_of(alerts: Sequence[Alert], *, postgres: bool) -> AlertLookup:
    """The queries for the stored state of these alerts."""
    fingerprints = {(one.source, one.fingerprint) for one in alerts}
    return lookup(fingerprints, {(one.source, one.group) for one in alerts}, postgres=postgres)


def load(tx: Tx, correlator: Correlator, alerts: Sequence[Alert]) -> None:
    """Load the stored state of these alerts, with all queries at once."""
    stored = lookup_of(alerts, postgres=tx.sql.postgres)
    load_answers(tx, correlator, stored, tx.sql.run_queries(stored.queries))


def load_answers(tx: Tx, correlator: Correlator, of: AlertLookup, answers: Sequence[Sequence[Row]]) -> None:
    """Load the answers to the queries, and the incidents that those episodes belong to."""
    found = tx.read_answers(of, answers)
    referenced = {one.incident_id for one in found.states.values() if one.incident_id is not None}
    known = {one.id: one for one in found.newest.values()}
    known |= tx.incidents([of for of in referenced if of not in known])
    correlator.load(found.states, known.values())


def write(tx: Tx, correlator: Correlator, subscriptions: Sequence[Subscription]) -> Committed:
    """Write what was correlated since the last call."""
    result = correlator.drain()
    written = timeline.write(tx, result.changes, subscriptions, correlator.keep)
    tx.put_alerts(result.new_episodes)
    tx.update_alerts(result.updated_episodes)
    tx.update_texts(result.retold)
    return written
