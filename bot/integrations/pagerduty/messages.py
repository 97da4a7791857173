"""What PagerDuty's JSON looks like, in and out: a part of the channel `pagerduty`, pure.

All of it is somebody else's text: what goes out is cut to PagerDuty's limits and freed of what cannot be seen, and
what comes in is believed only as far as its types hold.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.core.incident import Event, EventType, Incident
from bot.core.message import Notification

_VERBS = {"incident.acknowledged": "ack", "incident.resolved": "resolve", "incident.annotated": "note"}

_SUMMARY_MOST = 1024  # PagerDuty's own limit, in characters.
_TEXT_MOST = 500  # Ours: 36 texts of it stay below the 512 KB of an event even where each character is escaped.
_LINES_MOST = 30
_NOTE_MOST = 4000
_BODY_MOST = 256 * 1024  # PagerDuty drops a webhook above this itself, so a genuine one is never longer.
_AGAIN = timedelta(seconds=30)  # What PagerDuty's documents advise after a 429 that names no time.
_AGAIN_MOST = timedelta(minutes=10)  # A page must not sleep for a day on the word of one broken header.

_PD_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_ID_OF_ACT = re.compile(r"[\x21-\x7e]{1,128}")
#: Controls, lone surrogates, and the marks that turn the direction of the text around them.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True, slots=True)
class PagerDutyWebhook:
    """One webhook that may concern us."""

    verb: str
    idempotency_key: str
    sent_at: datetime | None  #: None where it does not say, or not readably
    key: str  #: the dedup_key, "" where it was left out
    pd_incident: str  #: PagerDuty's id of its incident, "" where it is not readable
    account: str  #: the user's id, "" for automation
    display_name: str
    note: str  #: of an annotation, on one line


def parse_webhook(body: bytes) -> PagerDutyWebhook | str:
    """What a genuine webhook tells, or one word on why it is ignored.

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
    told = _part(event, "data")
    if text_of(event, "resource_type") != "incident" or not told:
        return "other_resource"
    note = _plain(text_of(told, "content"), _NOTE_MOST) if verb == "note" else ""
    if verb == "note" and not note:
        return "empty_note"
    agent, incident = _part(event, "agent"), _part(told, "incident") or told
    human = text_of(agent, "type") in ("user_reference", "user")
    return PagerDutyWebhook(
        verb=verb,
        idempotency_key=_once(event, body),
        sent_at=_time(text_of(event, "occurred_at")),
        key=text_of(incident, "incident_key"),
        pd_incident=_id(incident),
        account=_id(agent) if human else "",
        display_name=_plain(text_of(agent, "summary"), 100),
        note=note,
    )


def _once(event: Mapping[str, Any], body: bytes) -> str:
    """The event's own id, under the signature and the same on every retry; the header X-Webhook-Id is not signed."""
    told = text_of(event, "id")
    return told if _ID_OF_ACT.fullmatch(told) else hashlib.sha256(body).hexdigest()


def _id(thing: Mapping[str, Any]) -> str:
    told = text_of(thing, "id")
    return told if _PD_ID.fullmatch(told) else ""


def _part(whole: object, name: str) -> Mapping[str, Any]:
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}


def text_of(whole: object, name: str) -> str:
    text = whole.get(name) if isinstance(whole, dict) else None
    return text if isinstance(text, str) else ""


def _time(text: str) -> datetime | None:
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return None
    return told if told.tzinfo else None


def page_payload(notification: Notification, event: Event) -> dict[str, Any]:
    """The body of a trigger, beside its dedup_key. Field names are those of PagerDuty's Common Event Format."""
    incident, link = notification.incident, notification.card.link
    payload = {
        "summary": _summary(incident, event.type),
        "source": _plain(incident.service or incident.source, _TEXT_MOST) or "vakhta",
        "severity": incident.severity.value,
        "timestamp": event.at.isoformat(timespec="milliseconds"),
        "group": _plain(incident.source, _TEXT_MOST),
        "custom_details": _details(notification, event),
    }
    if incident.service:
        payload["component"] = _plain(incident.service, _TEXT_MOST)
    if not link.startswith(("https://", "http://")):
        return {"payload": payload, "client": "Vakhta"}
    links = [{"href": link, "text": f"Incident {incident.id}"}]
    return {"payload": payload, "client": "Vakhta", "client_url": link, "links": links}


def _summary(incident: Incident, event_type: EventType) -> str:
    states = {EventType.REOPENED: "reopened, ", EventType.SEVERITY_RAISED: f"now {incident.severity.value}, "}
    state = f": {states.get(event_type, '')}{incident.firing} firing"
    return (_plain(incident.title, _SUMMARY_MOST - len(state)) or "(no title)") + state


def _details(notification: Notification, event: Event) -> dict[str, Any]:
    incident = notification.incident
    details: dict[str, Any] = {
        "incident": incident.id,
        "title": _plain(incident.title, _TEXT_MOST),
        "what happened": _plain(event.text, _TEXT_MOST),
        "firing": incident.firing,
        "alerts so far": incident.total,
        "lines": [_plain(line, _TEXT_MOST) for line in notification.card.lines[:_LINES_MOST]],
    }
    if incident.truncated:
        details["alerts not sent by the source"] = incident.truncated
    return details


def _plain(text: str, most: int) -> str:
    """One line of at most `most` characters, without what cannot be seen; cut with an ellipsis."""
    line = " ".join(_UNSEEN.sub("", text).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def retry_after(headers: Mapping[str, str]) -> timedelta:
    told = headers.get("Retry-After", "").strip()
    if not (told.isascii() and told.isdigit()):
        return _AGAIN
    return min(timedelta(seconds=int(told[:9])), _AGAIN_MOST)


def error_text(answer: Any) -> str:
    """The provider's own words: its message and errors where it sent those, else the body's beginning."""
    try:
        told = answer.json()
    except ValueError:
        return _plain(answer.text[:2000], 200) or "no text"
    errors = told.get("errors") if isinstance(told, dict) else None
    listed = [str(one) for one in errors] if isinstance(errors, list) else []
    return _plain(" ".join([text_of(told, "message"), *listed]), 300) or "no text"
