"""Incidents as the API shows them: one in the list, one in full, its alerts, events and deliveries.

What people read (who has it, the description, what tells the alerts apart, the links) is made here by the rules of the
cards, so that the board says the same as a chat. Only addresses that a reader can open are among the links.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from bot.core.alert import AlertView, Severity
from bot.core.incident import Event, Incident, Status
from bot.notifications.alert_texts import links_of, name_of, value_of
from bot.notifications.card import CardSettings, holder, incident_card, lead_first
from bot.notifications.places import telling, where
from bot.store import run_states
from bot.store.views import DeliveryView, Reader
from bot.web.runs_api import MOST_RUNS, RunOut, run_out

#: Alerts of one incident in an answer: firing ones first, then by their start.
MOST_ALERTS = 500
#: Fields that are not an incident's own.
_MADE = frozenset({"flapping", "holder", "since"})


class IncidentOut(BaseModel):
    """One incident in the list."""

    id: int
    mark: str = Field(
        description="Unique to this incident: after a restore from a backup another one may have its number."
    )
    key: str
    source: str
    title: str
    severity: Severity
    status: Status
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    owner: str | None
    service: str | None
    firing: int
    total: int
    truncated: int
    flapping: str = Field(
        description='"flapping: 4 times in 12 min" while it is held open until its alerts are quiet, else "".'
    )
    holder: str = Field(description="Who has it, in words: `Ana has it`, `nobody has it yet`.")
    since: datetime | None = Field(
        default=None,
        description="When the first of its firing alerts began; null when none fires. In the list only with"
        " `sort=severity`.",
    )


class AlertOut(BaseModel):
    """One episode of an alert; `link` is shown, never fetched."""

    source: str
    fingerprint: str
    firing: bool
    labels: dict[str, str]
    notes: dict[str, str]
    starts_at: datetime
    ended_at: datetime | None
    link: str
    told: str = Field(description="What tells it from the other alerts of its incident; its place, if it is alone.")
    value: str = Field(description="The value that fired, as its sender wrote it.")
    links: dict[str, str] = Field(description="Label to address; only addresses that a reader can open.")


class EventOut(BaseModel):
    """One event of the timeline."""

    id: int
    incident_id: int
    at: datetime
    what: str
    by: str
    said: str
    via: str


class DeliveryOut(BaseModel):
    """One message: `state` is owed (to be sent), leased (being sent), sent, or dead (set aside, see `why_not`).

    A dead one has a `next_try_at` while its channel refuses every message and is tried again then.
    """

    id: int
    channel: str
    kind: str
    what: str | None
    state: str
    owed_at: datetime
    sent_at: datetime | None
    attempts: int
    why_not: str | None
    next_try_at: datetime | None


class IncidentInFull(IncidentOut):
    """One incident with all that belongs to it; at most 500 alerts, firing ones first, and 50 runs, the newest."""

    description: str = Field(description="What the alert that names it says beyond the title.")
    key_labels: dict[str, str] = Field(description="The few labels of all its alerts that say what it is about.")
    links: dict[str, str] = Field(description="Of the alert that names it: label to address that a reader can open.")
    on_call: list[str] = Field(description="Names of the people who are on call for its service.")
    remarks: list[str] = Field(description="What else has to be known, a sentence each.")
    alerts: list[AlertOut]
    events: list[EventOut]
    deliveries: list[DeliveryOut]
    runs: list[RunOut]


def listed(incident: Incident, cards: CardSettings) -> IncidentOut:
    return IncidentOut.model_validate(_fields(incident, cards))


def in_full(seen: Reader, incident_id: int, mark: str, cards: CardSettings) -> bytes | None:
    """None if no incident has that number, or it has another mark."""
    incident = seen.incident(incident_id)
    if incident is None or mark not in ("", incident.mark):
        return None
    alerts = lead_first(seen.alerts(incident_id, limit=MOST_ALERTS), incident)
    now = incident_card(incident, cards, alerts=alerts).situation
    assert now is not None, "the card of an incident has one"
    shown = IncidentInFull.model_validate(
        _fields(incident, cards)
        | {
            "since": min((one.starts_at for one in alerts if one.firing), default=None),
            "description": now.description,
            "key_labels": dict(now.facts),
            "links": dict(now.links),
            "on_call": [one.name for one in now.on_call],
            "remarks": list(now.notes),
            "alerts": _alerts(alerts, cards.place_order),
            "events": [event_out(event_id, event) for event_id, event in seen.events(incident_id)],
            "deliveries": [_delivery(row) for row in seen.deliveries(incident_id)],
            "runs": [run_out(one) for one in run_states.about(seen.sql, incident_id, MOST_RUNS)],
        }
    )
    return shown.model_dump_json().encode()


def event_out(event_id: int, event: Event) -> EventOut:
    return EventOut(
        id=event_id,
        incident_id=event.incident_id,
        at=event.at,
        what=event.type,
        by=event.by,
        said=event.text,
        via=event.via,
    )


def _fields(incident: Incident, cards: CardSettings) -> dict[str, object]:
    own = {name: getattr(incident, name) for name in IncidentOut.model_fields if name not in _MADE}
    return own | {"flapping": incident.flapping_words, "holder": holder(incident, cards.names)}


def _alerts(rows: Sequence[AlertView], order: Sequence[str]) -> list[AlertOut]:
    each = telling([row.labels for row in rows], order).each
    return [_alert(row, told, order) for row, told in zip(rows, each, strict=True)]


def _alert(row: AlertView, told: str, order: Sequence[str]) -> AlertOut:
    return AlertOut(
        source=row.source,
        fingerprint=row.fingerprint,
        firing=row.firing,
        starts_at=row.starts_at,
        ended_at=row.ended_at,
        link=row.link,
        labels=dict(row.labels),
        notes=dict(row.notes),
        told=told or where(row.labels, order) or name_of(row.labels),
        value=value_of(row.notes),
        links=links_of(row.labels, row.notes, row.link),
    )


def _delivery(row: DeliveryView) -> DeliveryOut:
    return DeliveryOut(
        id=row.id,
        channel=row.channel,
        kind=row.kind,
        what=row.what,
        state=row.state,
        owed_at=row.owed_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        why_not=row.said or None if row.state != "sent" else None,
        next_try_at=row.next_try_at,
    )
