"""Gathers one incident for `show`: alerts, events, runs and deliveries, read in the request's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from bot.chatops.notified import notified_lines
from bot.core.incident import TIMELINE_EVENTS, EventType, Incident
from bot.core.incident_detail import IncidentDetail
from bot.core.message import Subscription
from bot.lib.open_links import can_open
from bot.notifications.card import CardSettings, incident_card, lead_first
from bot.store import run_states
from bot.store.transaction import Tx
from bot.store.views import Reader

#: The most that are read: more alerts have no room in a message, and other requests wait while it is read.
_ALERTS, _EVENTS, _SHOWN_EVENTS, _RUNS = 100, 300, 8, 5
_TOLD = TIMELINE_EVENTS | {EventType.OPENED, EventType.OPENED_RESOLVED}


def incident_detail(
    tx: Tx, incident: Incident, cards: CardSettings, subscriptions: Sequence[Subscription]
) -> IncidentDetail:
    def mentioned(channel: str) -> list[str]:
        return [one.name for one in cards.on_call(incident.service, channel) if one.account]

    reader = Reader(tx.sql)
    alerts = lead_first(reader.alerts(incident.id, _ALERTS), incident)
    runs = tuple(run_states.about(tx.sql, incident.id, _RUNS))
    card = incident_card(incident, cards, alerts=alerts)
    assert card.situation is not None, "the card of an incident has one"
    events = [event for _, event in reader.events(incident.id, _EVENTS) if event.type in _TOLD]
    return IncidentDetail(
        situation=card.situation,
        alerts=tuple([one for one in alerts if one.firing] or alerts),
        place_order=cards.place_order,
        notified=notified_lines(incident, reader.deliveries(incident.id), subscriptions, tx.now, mentioned),
        events=tuple(events[-_SHOWN_EVENTS:]),
        runs=runs,
        now=tx.now,
        link=card.link if can_open(card.link) else "",
    )
