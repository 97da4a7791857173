"""PagerDuty's JSON, in and out: pure functions of the channel `pagerduty`.

All texts are untrusted. Texts out are cut to PagerDuty's limits, without invisible characters, and with code spans in
quotes, because PagerDuty shows no mark-up. Of JSON in, only fields of the expected type are used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from bot.core.incident import Event, EventType
from bot.core.message import Notification
from bot.lib.code_spans import quoted
from bot.lib.open_links import can_open
from bot.notifications.places import where

_VERBS = {"incident.acknowledged": "ack", "incident.resolved": "resolve", "incident.annotated": "note"}

_SUMMARY_MOST = 1024  # PagerDuty's own limit, in characters.
_TEXT_MOST, _NAME_MOST = 500, 100
_DESCRIPTION_MOST = 1500
#: Ours: two times so many pairs stay below the 512 KB of an event even if each character is escaped.
_PAIRS_MOST = 30
#: Labels that name a part of a system, and those that name what it is a part of.
_COMPONENTS = ("deployment", "statefulset", "daemonset", "job_name", "service", "job")
_GROUPS = ("cluster", "namespace")
_NOTE_MOST = 4000
_BODY_MOST = 256 * 1024  # PagerDuty drops a webhook above this itself, so a genuine one is never longer.
_RETRY_AFTER = timedelta(seconds=30)  # PagerDuty's documentation advises it after a 429 that names no time.
_RETRY_AFTER_MOST = timedelta(minutes=10)  # One broken header must not delay a page for a day.

_PD_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_EVENT_ID = re.compile(r"[\x21-\x7e]{1,128}")
#: Control characters, lone surrogates, and marks that change the direction of the text.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PagerDutyWebhook:
    """One webhook that may concern us."""

    verb: str
    idempotency_key: str
    sent_at: datetime | None  #: None where it is missing or not readable
    key: str  #: the dedup_key, "" where it is missing
    pd_incident: str  #: PagerDuty's id of its incident, "" where it is not readable
    account: str  #: the user's id, "" for automation
    display_name: str
    note: str  #: of an annotation, on one line


def parse_webhook(body: bytes) -> PagerDutyWebhook | str:
    """A genuine webhook, or one word on why it is ignored.

    Shape: https://developer.pagerduty.com/docs/webhooks-overview (webhook payload).
    """
    if len(body) > _BODY_MOST:
        return "too_big"
    try:
        event = _part(json.loads(body), "event")
    except (ValueError, RecursionError):
        return "unreadable"
    verb = _VERBS.get(text_of(event, "event_type"))
    if verb is None:
        return "other_event"
    data = _part(event, "data")
    if text_of(event, "resource_type") != "incident" or not data:
        return "other_resource"
    note = _one_line(text_of(data, "content"), _NOTE_MOST) if verb == "note" else ""
    if verb == "note" and not note:
        return "empty_note"
    agent, incident = _part(event, "agent"), _part(data, "incident") or data
    human = text_of(agent, "type") in ("user_reference", "user")
    return PagerDutyWebhook(
        verb=verb,
        idempotency_key=_idempotency_key(event, body),
        sent_at=_time(text_of(event, "occurred_at")),
        key=text_of(incident, "incident_key"),
        pd_incident=_id(incident),
        account=_id(agent) if human else "",
        display_name=_one_line(text_of(agent, "summary"), 100),
        note=note,
    )


def _idempotency_key(event: Mapping[str, Any], body: bytes) -> str:
    """The event's own id, which is signed and the same on every retry; the header X-Webhook-Id is not signed."""
    event_id = text_of(event, "id")
    return event_id if _EVENT_ID.fullmatch(event_id) else hashlib.sha256(body).hexdigest()


def _id(resource: Mapping[str, Any]) -> str:
    pd_id = text_of(resource, "id")
    return pd_id if _PD_ID.fullmatch(pd_id) else ""


def _part(whole: object, name: str) -> Mapping[str, Any]:
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}


def text_of(whole: object, name: str) -> str:
    text = whole.get(name) if isinstance(whole, dict) else None
    return text if isinstance(text, str) else ""


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def page_payload(notification: Notification, event: Event) -> dict[str, Any]:
    """The body of a trigger, beside its dedup_key. Field names are those of PagerDuty's Common Event Format."""
    incident, link = notification.incident, notification.card.link
    payload = {
        "summary": _summary(notification, event.type),
        "severity": incident.severity.value,
        "timestamp": event.at.isoformat(timespec="milliseconds"),
        **_where(notification),
        "custom_details": _details(notification, event),
    }
    shown = notification.card.situation.links if notification.card.situation else {}
    links = [{"href": url, "text": label} for label, url in shown.items()]
    if not can_open(link):
        return {"payload": payload, "client": "Vakhta"} | ({"links": links} if links else {})
    links.append({"href": link, "text": f"Incident {incident.id}"})
    return {"payload": payload, "client": "Vakhta", "client_url": link, "links": links}


def _where(notification: Notification) -> dict[str, str]:
    """PagerDuty's own fields for the place, by which its people filter and route.

    source: what is affected, as narrow as it is known; component: the service; group: the cluster or namespace; class:
    the alert's name.
    """
    incident, alerts = notification.incident, notification.alerts
    labels = alerts[0].labels if alerts else {}
    component = incident.service or next((labels[name] for name in _COMPONENTS if labels.get(name)), "")
    fields = {
        "source": where(labels) or incident.service or incident.source,
        "component": component,
        "group": "/".join(labels[name] for name in _GROUPS if labels.get(name)) or incident.source,
        "class": labels.get("alertname", ""),
    }
    shown = {name: _shown(text, _TEXT_MOST) for name, text in fields.items()}
    return {name: text for name, text in shown.items() if text} | {"source": shown["source"] or "vakhta"}


def _summary(notification: Notification, event_type: EventType) -> str:
    incident = notification.incident
    states = {EventType.REOPENED: "reopened, ", EventType.SEVERITY_RAISED: f"now {incident.severity.value}, "}
    state = f": {states.get(event_type, '')}{incident.firing} firing"
    return (
        _shown(notification.summary or incident.title, _SUMMARY_MOST - len(state)).rstrip(".") or "(no title)"
    ) + state


def _details(notification: Notification, event: Event) -> dict[str, Any]:
    incident = notification.incident
    situation = notification.card.situation
    details: dict[str, Any] = {
        "incident": incident.id,
        "title": _shown(incident.title, _TEXT_MOST),
        "what happened": _shown(event.text, _TEXT_MOST),
        "firing": incident.firing,
        "alerts so far": incident.total,
    }
    if incident.truncated:
        details["alerts not sent by the source"] = incident.truncated
    if situation is None:
        return details | {"lines": [_shown(line, _TEXT_MOST) for line in notification.card.lines[:_PAIRS_MOST]]}
    if situation.description:
        details["description"] = _shown(situation.description, _DESCRIPTION_MOST)
    if situation.alerts:
        told = [f"{one.text} ({one.value})" if one.value else one.text for one in situation.alerts]
        details["alerts"] = [_shown(text, _TEXT_MOST) for text in told]
    if situation.on_call:
        details["on call"] = [_shown(one.name, _TEXT_MOST) for one in situation.on_call]
    if notification.alerts:
        details["labels"] = _pairs(notification.alerts[0].labels)
        details["annotations"] = _pairs(notification.alerts[0].notes)
    return details


def _pairs(texts: Mapping[str, str]) -> dict[str, str]:
    """Of the alert that names the incident, within bounds; secrets were taken out when it was received."""
    pairs = islice(texts.items(), _PAIRS_MOST)
    return {_shown(name, _NAME_MOST): _shown(text, _TEXT_MOST) for name, text in pairs}


def _shown(text: str, most: int) -> str:
    """For a field of a page: on one line, with code spans in quotes."""
    return quoted(_one_line(text, most))


def _one_line(text: str, most: int) -> str:
    """At most `most` characters, without invisible ones; cut with an ellipsis."""
    line = " ".join(_INVISIBLE.sub("", text).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def retry_after(headers: Mapping[str, str]) -> timedelta:
    seconds = headers.get("Retry-After", "").strip()
    if not (seconds.isascii() and seconds.isdigit()):
        return _RETRY_AFTER
    return min(timedelta(seconds=int(seconds[:9])), _RETRY_AFTER_MOST)


def error_text(answer: Any) -> str:
    """PagerDuty's own explanation: its message and errors where it sent those, else the beginning of the body."""
    try:
        body = answer.json()
    except ValueError:
        return _one_line(answer.text[:2000], 200) or "no text"
    errors = body.get("errors") if isinstance(body, dict) else None
    listed = [str(one) for one in errors] if isinstance(errors, list) else []
    return _one_line(" ".join([text_of(body, "message"), *listed]), 300) or "no text"
